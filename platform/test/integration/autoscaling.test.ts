/**
 * An autoscaler over Pods in machines of their own: what they use is what the node measures in their guests, and what the autoscaler does about
 * it makes and ends machines. Its periods are the real ones.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.d.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { shellPod, type TestPod } from './support/pods.ts';
import { until } from './support/wait.ts';

const namespace = 'default';
const podMetrics: ResourceRef = { group: 'metrics.k8s.io', version: 'v1beta1', resource: 'pods', namespaced: true };
/** The machine emulates, and other tests may run beside this one. */
const patienceMs = 180_000;

/** Burns CPU until it is told to stop. */
const burner = 'while [ ! -e /tmp/stop ]; do :; done; exec sleep 1000';
const windowSeconds = 20;

describe('an autoscaler over real machines', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('scaling');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  const pods = async () =>
    (await instance.client.list<TestPod>(resources.pods, { namespace, labelSelector: 'app=burner' })).items;
  const scaler = () =>
    instance.client.get<HorizontalPodAutoscaler & KubeObject>(resources.horizontalpodautoscalers, 'burner', namespace);
  const condition = async (type: string) =>
    (await scaler()).status?.conditions?.find((one) => one.type === type)?.reason;

  /** Millicores by the name of the Pod. */
  async function usedMilli(): Promise<Map<string, number>> {
    type Metrics = KubeObject & { containers: { usage: { cpu: string } }[] };
    const { items } = await instance.client.list<Metrics>(podMetrics, { namespace });
    const milli = (cpu: string) => (cpu.endsWith('n') ? Number.parseInt(cpu, 10) / 1e6 : Number.parseInt(cpu, 10));
    return new Map(items.map(({ metadata, containers }) => [metadata!.name!, milli(containers[0]!.usage.cpu)]));
  }

  const create = async (ref: ResourceRef, object: object) =>
    instance.client.create(ref, object as KubeObject, { namespace });

  test('Pods that burn CPU in their VMs become more, and fewer once they rested for the window', async (t) => {
    const { spec } = shellPod('burner', burner, { restartPolicy: 'Always' });
    Object.assign(spec!.containers[0]!, {
      resources: { limits: { cpu: '200m', memory: '32Mi' }, requests: { cpu: '100m' } },
    });
    const labels = { app: 'burner' };
    await create(resources.deployments, {
      metadata: { name: 'burner' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    });
    await create(resources.horizontalpodautoscalers, {
      metadata: { name: 'burner' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'burner' },
        minReplicas: 1,
        maxReplicas: 2,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
        behavior: { scaleDown: { stabilizationWindowSeconds: windowSeconds } },
      },
    });
    const running = async (count: number) => {
      const all = await pods();
      return all.length === count && all.every(({ status }) => status?.phase === 'Running') && all;
    };

    const two = await until('a second Pod runs', () => running(2), patienceMs);
    const { currentMetrics, desiredReplicas } = (await scaler()).status!;
    assert.equal(desiredReplicas, 2);
    const utilization = currentMetrics?.[0]?.resource?.current.averageUtilization ?? 0;
    assert.ok(utilization > 55, `${utilization} % of the request`);
    // No more than its limit lets it: the figure is of the Pod's own machine.
    await until(
      'both are measured',
      async () => {
        const used = await usedMilli();
        return two.every(({ metadata }) => {
          const milli = used.get(metadata!.name!) ?? 0;
          return milli > 50 && milli < 400;
        });
      },
      patienceMs,
    );
    t.diagnostic(
      `${utilization} % of the request; ${JSON.stringify([...(await usedMilli()).values()].map(Math.round))} millicores`,
    );

    for (const { metadata } of two) {
      const { code, stderr } = await instance.sampan(['exec', metadata!.name!, '--', 'touch', '/tmp/stop']);
      assert.equal(code, 0, stderr);
    }
    const restedMs = performance.now();
    await until(
      'the figures have fallen, and the window holds it',
      async () => (await condition('AbleToScale')) === 'ScaleDownStabilized',
      patienceMs,
    );
    assert.equal((await pods()).length, 2);
    await until('one Pod is left', () => running(1), patienceMs);
    const tookMs = performance.now() - restedMs;
    assert.ok(tookMs > windowSeconds * 1000 * 0.7, `it shrank after ${Math.round(tookMs)} ms`);
    const [left] = await pods();
    await until('what is left is idle', async () => ((await usedMilli()).get(left!.metadata!.name!) ?? 100) < 25);

    await instance.client.delete(resources.deployments, 'burner', { namespace, propagationPolicy: 'Background' });
    await until('no Pod is left', async () => (await pods()).length === 0, patienceMs);
  });
});
