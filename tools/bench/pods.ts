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

export function benchPod(name: string, command: string[]): BenchPod {
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

/** Asks for all of them at once; resolves when all run. Returns milliseconds. */
export async function manyAtOnce(client: KubeClient, names: string[]): Promise<number> {
  const began = performance.now();
  await Promise.all(
    names.map((name) => client.create(resources.pods, benchPod(name, ['sleep', '100000']), { namespace: 'default' })),
  );
  for (;;) {
    const { items } = await client.list<BenchPod>(resources.pods, { namespace: 'default' });
    const running = items.filter((pod) => pod.status?.phase === 'Running').length;
    if (running >= names.length) return performance.now() - began;
    if (performance.now() - began > 300_000) throw new Error(`only ${running} of ${names.length} Pods run after 300 s`);
    await delay(20);
  }
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
