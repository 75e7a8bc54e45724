/**
 * `sampan down`: stops the server; Pods go on, and the next `up` adopts them. With --pods everything this instance made is gone, with --runtime what
 * `sampan runtime` of the same home made for containerd and Podman.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { connect } from '../connect.ts';
import { Failure, report } from '../failure.ts';
import { type CliInstance, currentInstance, runningServer, type ServerInfo } from '../instance.ts';
import { artifacts, directoryAtHand } from '../setup/artifacts.ts';
import { cordon } from '../setup/cordon.ts';
import { runningRuntime, runtimeHome } from '../setup/runtime-process.ts';
import { lockHeldExit, startServer, stopProcess } from '../setup/server-process.ts';
import { serverWords } from '../setup/server-words.ts';

export interface DownOptions {
  pods?: boolean;
  runtime?: boolean;
}

export async function down(options: DownOptions): Promise<void> {
  if ((options.pods || options.runtime) && process.getuid?.() !== 0)
    throw new Failure('this needs root', {
      why: 'machines, bridges and cgroups are removed',
      mend: 'run it with sudo',
    });
  const instance = currentInstance();
  if (options.runtime) await downRuntime(instance);
  if (options.runtime && !options.pods) return;
  const running = await runningServer(instance);
  const waiting = options.pods ? await endPodsOf(instance, running) : 0;
  const server = await runningServer(instance);
  if (server) await stopProcess(server);
  if (options.pods) await teardown(instance);
  process.stdout.write(`${farewell({ pods: options.pods, ran: server !== undefined, waiting })}\n`);
  if (await runningRuntime(instance))
    process.stdout.write('What serves containerd and Podman goes on; ./sampan down --runtime ends it.\n');
}

/** Resolves to how many of them wait for the next `up`. A home without a platform has none to end: its machines, if any, are those of `sampan cri`. */
async function endPodsOf(instance: CliInstance, running: ServerInfo | undefined): Promise<number> {
  if (!running && !existsSync(join(instance.home, 'state.sqlite')) && process.env.SAMPAN_STORE !== 'etcd') return 0;
  const server = running ?? (await startServer(instance, await artifacts(instance)).catch(tellStart));
  return server ? await endPods(await connect(instance), server.nodeName) : 0;
}

/** A server that cannot start, such as on a full disk, is no reason to leave its machines running. */
function tellStart(error: unknown): undefined {
  report(error);
  process.stderr.write('The machines are ended without it; the Pods start again at the next ./sampan up.\n');
}

async function downRuntime(instance: CliInstance): Promise<void> {
  const service = await runningRuntime(instance);
  if (service) await stopProcess(service);
  await teardown({ ...instance, home: runtimeHome(instance) });
  process.stdout.write(
    'What serves containerd and Podman is down; none of their containers runs in a machine of ours.\n',
  );
}

function farewell({ pods, ran, waiting }: { pods: boolean | undefined; ran: boolean; waiting: number }): string {
  if (!pods)
    return ran
      ? 'Sampan is down; Pods go on (./sampan up adopts them).'
      : 'Sampan was not running. Pods that are still there go on; --pods ends them.';
  const later =
    waiting > 0 ? ` ${waiting} that a Deployment or the like has made again start at the next ./sampan up.` : '';
  return `Sampan is down; no Pod runs.${later}`;
}

interface PodObject extends KubeObject {
  spec?: { nodeName?: string };
}

/** Those of the node, and those of nobody that wait for one. Resolves to how many wait because their controller made them again. */
async function endPods(client: KubeClient, nodeName: string): Promise<number> {
  await cordon(client, nodeName);
  const deadlineMs = performance.now() + 120_000;
  for (;;) {
    const { items } = await client.list<PodObject>(resources.pods);
    const ours = items.filter((pod) => (pod.spec?.nodeName ? pod.spec.nodeName === nodeName : !hasController(pod)));
    if (ours.length === 0) return items.filter((pod) => !pod.spec?.nodeName).length;
    if (performance.now() > deadlineMs) throw stillThere(ours);
    for (const pod of ours.filter((one) => !one.metadata?.deletionTimestamp)) {
      await client
        .delete(resources.pods, pod.metadata!.name!, { namespace: pod.metadata!.namespace, gracePeriodSeconds: 2 })
        .catch(() => {});
    }
    await delay(200);
  }
}

function hasController(pod: PodObject): boolean {
  return pod.metadata?.ownerReferences?.some((owner) => owner.controller) ?? false;
}

function stillThere(pods: PodObject[]): Failure {
  return new Failure(`${pods.length} Pods did not end within 120 s`, {
    why: pods
      .slice(0, 5)
      .map((pod) => `${pod.metadata?.namespace}/${pod.metadata?.name}`)
      .join(', '),
    mend: 'kubectl delete pod --force --grace-period=0, then run this again',
  });
}

const mostWords = 64 * 1024;

/** Removes what the server made on this host: bridge, NAT rules, templates, the run directory. State in home stays. */
async function teardown(instance: CliInstance): Promise<void> {
  const [guest, host] = await Promise.all((await artifacts(instance)).map(directoryAtHand));
  const env = { ...process.env, SAMPAN_HOME: instance.home, SAMPAN_GUEST_DIR: guest, SAMPAN_HOST_DIR: host };
  const script = join(instance.root, 'platform/src/cmd/teardown.ts');
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-mostWords);
  });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 128)));
  if (code === 0) return;
  const words = serverWords(said).join('\n        ');
  throw new Failure('not everything could be removed', {
    why: words || 'it does not say',
    mend:
      code === lockHeldExit
        ? 'end what serves this home first (./sampan cri ends by Ctrl-C), then say this again'
        : 'say this again; ./sampan doctor tells what the machine lacks',
  });
}
