/** `sampan down`: stops the server; Pods go on, and the next `up` adopts them. With --pods everything this instance made is gone. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { connect } from '../connect.ts';
import { Failure } from '../failure.ts';
import { type CliInstance, currentInstance, runningServer } from '../instance.ts';
import { artifacts } from '../setup/artifacts.ts';
import { cordon } from '../setup/cordon.ts';
import { startServer, stopServer } from '../setup/server-process.ts';

export async function down(options: { pods?: boolean }): Promise<void> {
  const instance = currentInstance();
  let server = await runningServer(instance);
  let waiting = 0;
  if (options.pods) {
    server ??= await startServer(instance, await artifacts(instance));
    waiting = await endPods(await connect(instance), server.nodeName);
  }
  if (server) await stopServer(server);
  if (options.pods) await teardown(instance);
  process.stdout.write(`${farewell({ pods: options.pods, ran: server !== undefined, waiting })}\n`);
}

function farewell({ pods, ran, waiting }: { pods: boolean | undefined; ran: boolean; waiting: number }): string {
  if (!pods) return ran ? 'Sampan is down; Pods go on (./sampan up adopts them).' : 'Sampan was not running.';
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

/** Removes what the server made on this host: bridge, NAT rules, templates, the run directory. State in home stays. */
async function teardown(instance: CliInstance): Promise<void> {
  const built = await artifacts(instance);
  const directoryOf = (name: string) => built.find((artifact) => artifact.name === name)?.directory;
  const env = { ...process.env, SAMPAN_GUEST_DIR: directoryOf('guest'), SAMPAN_HOST_DIR: directoryOf('host') };
  const script = join(instance.root, 'platform/src/cmd/teardown.ts');
  const child = spawn(process.execPath, [script], { stdio: 'inherit', env });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 128)));
  if (code !== 0)
    throw new Failure('not everything could be removed', { why: 'see above', mend: 'run ./sampan down --pods again' });
}
