/** `sampan up --demo`: a Pod from examples/hello.yaml, its log, and how long it took. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { parse } from 'yaml';
import { uploadArchive } from '../commands/image.ts';
import { copyLogs } from '../commands/logs.ts';
import { deletePod } from '../commands/rm.ts';
import { connection } from '../connect.ts';
import { Failure } from '../failure.ts';
import type { CliInstance } from '../instance.ts';
import { podWarnings } from '../pod-warnings.ts';
import { runCommand } from '../setup/run-command.ts';

interface DemoPod extends KubeObject {
  status?: { phase?: string; podIP?: string };
}

export async function demo(instance: CliInstance): Promise<void> {
  const { client, credentials, nodeName } = await connection();
  const archive = join(instance.cache, 'demo-image-1.tar');
  if (!existsSync(archive)) await runCommand('sh', [join(import.meta.dirname, 'build-image.sh'), archive]);
  await uploadArchive(credentials, nodeName, archive);
  const pod = asApplied(parse(await readFile(join(instance.root, 'examples/hello.yaml'), 'utf8')) as DemoPod);
  const name = pod.metadata!.name!;
  await deletePod(client, name, { namespace: 'default', gracePeriodSeconds: 0 }).catch((error) => {
    if (!isReason(error, 'NotFound')) throw error;
  });
  process.stdout.write('\nThe demo: kubectl apply -f examples/hello.yaml\n');
  const startedMs = performance.now();
  const created = await client.create(resources.pods, pod, { namespace: 'default' });
  const phase = await phaseAfterStart(() => client.get<DemoPod>(resources.pods, name, 'default')).catch(async () => {
    const warnings = await podWarnings(client, created).catch(() => []);
    throw new Failure(`the demo Pod did not start within ${patienceMs / 1000} s`, {
      why: warnings.at(-1) ?? `its events say nothing; kubectl describe pod ${name} tells what there is`,
      mend: `run ./sampan doctor; the server log is ${join(instance.home, 'logs/server.log')}`,
    });
  });
  process.stdout.write('  its log:  ');
  await copyLogs(credentials, name, { namespace: 'default', follow: true });
  const took = Math.round(performance.now() - startedMs);
  process.stdout.write(
    `  ${phase === 'Succeeded' ? 'it ran and ended' : 'its output arrived'} ${took} ms after it was asked for; its VM is released when it ends.\n`,
  );
}

/** With kubectl's own note of what was applied, so that a later `kubectl apply` does not wonder. */
function asApplied(pod: DemoPod): DemoPod {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(pod)}\n` };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}

const patienceMs = 60_000;

/** Throws what `get` throws, and when the Pod is still pending after a minute. */
async function phaseAfterStart(get: () => Promise<DemoPod>): Promise<string> {
  for (const deadlineMs = performance.now() + patienceMs; performance.now() < deadlineMs; await delay(20)) {
    const phase = (await get()).status?.phase ?? 'Pending';
    if (phase !== 'Pending') return phase;
  }
  throw new Error('still pending');
}
