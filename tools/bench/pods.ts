/** The same through the whole platform: Pods asked for over HTTPS, timed until their first output is in the log. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { demoImage } from '../../platform/test/integration/support/pods.ts';

interface BenchPod extends KubeObject {
  spec?: object;
  status?: { phase?: string };
}

function benchPod(name: string, command: string[]): BenchPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'main',
          image: demoImage,
          command,
          resources: { limits: { cpu: '1', memory: '64Mi' }, requests: { cpu: '10m' } },
        },
      ],
    },
  };
}

/** Milliseconds from the request to the first byte of the container's log. */
export async function podRun(client: KubeClient, home: string, name: string): Promise<number> {
  const began = performance.now();
  const created = await client.create(resources.pods, benchPod(name, ['echo', 'first output']), {
    namespace: 'default',
  });
  const log = join(home, 'pod-logs', `default_${name}_${created.metadata!.uid}`, 'main', '0.log');
  for (; performance.now() - began < 60_000; await delay(1)) {
    if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 0) break;
  }
  const ms = performance.now() - began;
  await deletePods(client, [name]);
  return ms;
}

/**
 * Asks for all of them at once; resolves when all run. Returns milliseconds. It watches, as any client would: asking again and again for a list of
 * fifty Pods took a tenth of the CPU that is measured.
 */
export async function manyAtOnce(client: KubeClient, names: string[]): Promise<number> {
  const namespace = 'default';
  const { resourceVersion } = await client.list<BenchPod>(resources.pods, { namespace });
  const patience = AbortSignal.timeout(300_000);
  const stop = new AbortController();
  const events = client.watch<BenchPod>(
    resources.pods,
    { namespace, resourceVersion },
    AbortSignal.any([patience, stop.signal]),
  );
  const waiting = new Set(names);
  const began = performance.now();
  const created = Promise.all(
    names.map((name) => client.create(resources.pods, benchPod(name, ['sleep', '100000']), { namespace })),
  );
  created.catch(() => stop.abort());
  for await (const event of events) {
    if (event.type === 'BOOKMARK' || event.object.status?.phase !== 'Running') continue;
    waiting.delete(event.object.metadata!.name!);
    if (waiting.size === 0) break;
  }
  const ms = performance.now() - began;
  await created;
  if (waiting.size > 0)
    throw new Error(`${waiting.size} of ${names.length} Pods do not run after ${Math.round(ms / 1000)} s`);
  return ms;
}

export async function deletePods(client: KubeClient, names: string[]): Promise<void> {
  await Promise.all(
    names.map((name) => client.delete(resources.pods, name, { namespace: 'default', gracePeriodSeconds: 0 })),
  );
  for (const name of names) {
    for (;;) {
      try {
        await client.get(resources.pods, name, 'default');
      } catch (error) {
        if (isReason(error, 'NotFound')) break;
        throw error;
      }
      await delay(10);
    }
  }
}
