/** `sampan down`: stops the server; Pods go on, and the next `up` adopts them. With --pods everything this instance made is gone. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { resources } from '@sampan/api/client.ts';
import { connect } from '../connect.ts';
import { Failure } from '../failure.ts';
import { type CliInstance, currentInstance, runningServer } from '../instance.ts';
import { artifacts } from '../setup/artifacts.ts';
import { startServer, stopServer } from '../setup/server-process.ts';

export async function down(options: { pods?: boolean }): Promise<void> {
  const instance = currentInstance();
  let server = await runningServer(instance);
  if (options.pods) {
    server ??= await startServer(instance, await artifacts(instance));
    await deleteAllPods(instance);
  }
  if (server) await stopServer(server);
  if (options.pods) await teardown(instance);
  process.stdout.write(
    options.pods
      ? 'Sampan is down; no Pod runs.\n'
      : server
        ? 'Sampan is down; Pods go on (./sampan up adopts them).\n'
        : 'Sampan was not running.\n',
  );
}

async function deleteAllPods(instance: CliInstance): Promise<void> {
  const client = await connect(instance);
  const deadlineMs = performance.now() + 120_000;
  for (;;) {
    const { items } = await client.list(resources.pods);
    if (items.length === 0) return;
    if (performance.now() > deadlineMs) {
      throw new Failure(`${items.length} Pods did not end within 120 s`, {
        why: items
          .slice(0, 5)
          .map((pod) => `${pod.metadata?.namespace}/${pod.metadata?.name}`)
          .join(', '),
        mend: 'kubectl delete pod --force --grace-period=0, then run this again',
      });
    }
    for (const pod of items.filter((one) => !one.metadata?.deletionTimestamp)) {
      await client
        .delete(resources.pods, pod.metadata!.name!, { namespace: pod.metadata!.namespace, gracePeriodSeconds: 2 })
        .catch(() => {});
    }
    await delay(200);
  }
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
