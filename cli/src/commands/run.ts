/**
 * `sampan run`: a Pod from an image, its output here, its exit code ours.
 * Interactive runs attach; others follow the log, which holds every line from the first.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { stringify } from 'yaml';
import { connection } from '../connect.ts';
import { Failure } from '../failure.ts';
import { tellWarnings } from '../pod-warnings.ts';
import { podOf, type RunOptions, type RunPod, refuseTogether, startMend } from '../run-pod.ts';
import { streamStdio } from '../stream.ts';
import { hasTerminal } from '../terminal.ts';
import { copyLogs } from './logs.ts';
import { deletePod } from './rm.ts';

export async function run(image: string, command: string[], asked: RunOptions): Promise<void> {
  refuseTogether(asked);
  const options = { ...asked, tty: asked.dryRun ? Boolean(asked.tty) : hasTerminal(asked) };
  const pod = podOf(image, command, options);
  if (options.dryRun) {
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(pod, undefined, 2)}\n` : stringify(pod));
    return;
  }
  const { client, credentials } = await connection();
  const created = await client.create<RunPod>(resources.pods, pod, { namespace: options.namespace });
  const name = created.metadata!.name!;
  if (options.detach) {
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(created)}\n` : `${name}\n`);
    return;
  }
  const { namespace } = options;
  const release = options.rm ? removeOnExit(client, name, namespace) : leaveOnExit(name);
  try {
    await waitForStart(client, created).catch((error) => {
      throw options.rm || !(error instanceof Failure) ? error : withPodThatStays(error, name);
    });
    if (options.interactive) {
      const query = new URLSearchParams({
        stdin: 'true',
        stdout: 'true',
        ...(options.tty ? { tty: 'true' } : { stderr: 'true' }),
      });
      await streamStdio(credentials, `/api/v1/namespaces/${namespace}/pods/${name}/attach?${query}`, {
        stdin: true,
        tty: options.tty,
      }).catch(async (error) => {
        // The container may have ended before we attached: then its log is the whole output.
        const pod = await client.get<RunPod>(resources.pods, name, namespace);
        if (!pod.status?.containerStatuses?.[0]?.state?.terminated) throw error;
        await copyLogs(credentials, name, { namespace });
      });
    } else await copyLogs(credentials, name, { namespace, follow: true });
    const ended = await waitFor(
      client,
      created,
      (pod) => pod.status?.containerStatuses?.[0]?.state?.terminated !== undefined,
    );
    process.exitCode = ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode ?? 1;
  } finally {
    await release();
  }
}

/** Removes the Pod when the run is over, also when the user interrupts it. */
function removeOnExit(client: KubeClient, name: string, namespace: string): () => Promise<void> {
  const remove = () =>
    deletePod(client, name, { namespace, gracePeriodSeconds: 0 }).catch((error) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
  const onSignal = () => {
    void remove().finally(() => process.exit(130));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
  return remove;
}

/** An interrupted run ends; its Pod does not, and who interrupts it is told so. */
function leaveOnExit(name: string): () => Promise<void> {
  const onSignal = () => {
    process.stderr.write(`\n${name} goes on: ./sampan logs -f ${name} follows it, ./sampan rm ${name} ends it\n`);
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
  return async () => {};
}

const withPodThatStays = (error: Failure, name: string): Failure =>
  new Failure(error.message, { why: error.why, mend: `${error.mend}; ./sampan rm ${name} removes the Pod` });

/** Says meanwhile what keeps the Pod from starting. */
async function waitForStart(client: KubeClient, created: RunPod): Promise<void> {
  const started = new AbortController();
  void tellWarnings(client, created, (warning) => process.stderr.write(`${warning}\n`), started.signal);
  try {
    await waitFor(client, created, hasStarted);
  } finally {
    started.abort();
  }
}

function hasStarted(pod: RunPod): boolean {
  const status = pod.status?.containerStatuses?.[0];
  const { reason = '', message } = status?.state?.waiting ?? {};
  const mend = startMend(reason, message);
  if (mend) throw new Failure(`${pod.metadata?.name} cannot start: ${reason}`, { why: message ?? reason, mend });
  const unschedulable = pod.status?.conditions?.find((one) => one.type === 'PodScheduled' && one.status === 'False');
  if (unschedulable)
    throw new Failure(`${pod.metadata?.name} does not fit`, {
      why: unschedulable.message ?? 'unschedulable',
      mend: 'ask for less with --cpus and --memory, or remove other Pods (./sampan ps -A)',
    });
  if (status?.state?.running || status?.state?.terminated) return true;
  if (pod.status?.phase !== 'Failed') return false;
  throw new Failure(`${pod.metadata?.name} was refused: ${pod.status.reason ?? 'Failed'}`, {
    why: pod.status.message ?? 'the node does not say',
    mend: './sampan doctor tells what the machine lacks',
  });
}

/** Watches the Pod until `done` says so; throws when the Pod is deleted meanwhile. */
async function waitFor(client: KubeClient, created: RunPod, done: (pod: RunPod) => boolean): Promise<RunPod> {
  const { name = '', namespace = '' } = created.metadata ?? {};
  const stop = new AbortController();
  try {
    const now = await client.list<RunPod>(resources.pods, { namespace, fieldSelector: `metadata.name=${name}` });
    const pod = now.items[0];
    if (!pod) throw new Failure(`${name} is gone`, { why: 'somebody deleted it', mend: 'run it again' });
    if (done(pod)) return pod;
    const events = client.watch<RunPod>(
      resources.pods,
      { namespace, fieldSelector: `metadata.name=${name}`, resourceVersion: now.resourceVersion },
      stop.signal,
    );
    for await (const event of events) {
      if (event.type === 'DELETED') break;
      if (event.type !== 'BOOKMARK' && done(event.object)) return event.object;
    }
    throw new Failure(`${name} is gone`, { why: 'it was deleted while it ran', mend: 'run it again' });
  } finally {
    stop.abort();
  }
}
