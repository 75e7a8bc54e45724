/** Short ways to say a Pod and to wait for what becomes of it. */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { ContainerStatus, Pod } from 'kubernetes-types/core/v1.d.ts';
import { until } from './wait.ts';

export type TestPod = Pod & KubeObject;

export const demoImage = 'localhost/demo:1';

/** SAMPAN_TEST_HANDLER=namespace runs a test's Pods on the host's kernel. */
function runtimeClass(): object {
  const handler = process.env.SAMPAN_TEST_HANDLER;
  return handler ? { runtimeClassName: handler } : {};
}

/** A Pod of one shell script; small, so that many fit. */
export function shellPod(
  name: string,
  script: string,
  spec: Partial<Pod['spec']> & object = {},
  container: object = {},
): TestPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 2,
      ...runtimeClass(),
      ...spec,
      containers: [
        {
          name: 'main',
          image: demoImage,
          command: ['sh', '-c', script],
          resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '50m' } },
          ...container,
        },
        ...(spec.containers ?? []),
      ],
    },
  } as unknown as TestPod;
}

export async function createPod(client: KubeClient, pod: TestPod, namespace = 'default'): Promise<TestPod> {
  return client.create<TestPod>(resources.pods, pod, { namespace });
}

async function getPod(client: KubeClient, name: string, namespace = 'default'): Promise<TestPod> {
  return client.get<TestPod>(resources.pods, name, namespace);
}

export async function podWhere(
  client: KubeClient,
  name: string,
  what: string,
  probe: (pod: TestPod) => boolean,
  timeoutMs = 60_000,
): Promise<TestPod> {
  let last: TestPod | undefined;
  try {
    return await until(
      `${name} ${what}`,
      async () => {
        last = await getPod(client, name);
        return probe(last) ? last : undefined;
      },
      timeoutMs,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}; its status: ${JSON.stringify(last?.status)}`);
  }
}

export const phaseIs = (client: KubeClient, name: string, phase: string, timeoutMs?: number): Promise<TestPod> =>
  podWhere(client, name, `in phase ${phase}`, (pod) => pod.status?.phase === phase, timeoutMs);

export const isReady = (client: KubeClient, name: string, timeoutMs?: number): Promise<TestPod> =>
  podWhere(
    client,
    name,
    'Ready',
    (pod) => pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false,
    timeoutMs,
  );

export async function isGone(client: KubeClient, name: string, timeoutMs?: number): Promise<void> {
  await until(
    `${name} gone`,
    async () => {
      try {
        await getPod(client, name);
        return false;
      } catch (error) {
        return isReason(error, 'NotFound');
      }
    },
    timeoutMs,
  );
}

export async function deletePod(client: KubeClient, name: string, gracePeriodSeconds = 1): Promise<void> {
  await client.delete(resources.pods, name, { namespace: 'default', gracePeriodSeconds });
  await isGone(client, name);
}

export function containerStatus(pod: TestPod, name = 'main'): ContainerStatus {
  const all = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.ephemeralContainerStatuses ?? []),
  ];
  const found = all.find((status) => status.name === name);
  if (!found) throw new Error(`${pod.metadata?.name} has no status of container ${name}`);
  return found;
}
