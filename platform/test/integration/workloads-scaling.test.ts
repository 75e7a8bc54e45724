/** Autoscalers and disruption budgets as kubectl users meet them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { SampanError } from '@sampan/api/errors.ts';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.js';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.js';
import {
  type PodMetrics,
  podMetricsRef,
  samplesOf,
} from '../../src/controllers/horizontal-pod-autoscaler/pod-metrics.ts';
import { type BatchLab, image, needsKubectl, ownerOf, startBatchLab } from './batch-lab.ts';
import { findKubectls, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

let lab: BatchLab;
let fates: BatchLab['fates'];
let ok: BatchLab['ok'];
before(async () => {
  lab = await startBatchLab();
  ({ fates, ok } = lab);
});
after(() => lab[Symbol.asyncDispose]());

describe('Disruption budgets', needsKubectl, () => {
  const budgetOf = (name: string) =>
    lab.api.client.get<PodDisruptionBudget & KubeObject>(resources.poddisruptionbudgets, name, 'default');
  const evict = (name: string) =>
    lab.api.client.create(
      resources.pods,
      { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } },
      { namespace: 'default', name, subresource: 'eviction' },
    );
  const webPods = async () =>
    (await lab.api.client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector: 'app=web' }))
      .items;

  test('an eviction takes from the budget, and the next one is told to wait', async () => {
    fates.set('web', 'ready');
    await ok(['create', 'deployment', 'web', `--image=${image}`, '--replicas=3']);
    await ok(['create', 'pdb', 'web', '--selector=app=web', '--max-unavailable=34%']);
    await until('the budget is known', async () => (await budgetOf('web')).status?.currentHealthy === 3);
    const { status } = await budgetOf('web');
    assert.deepEqual([status?.expectedPods, status?.desiredHealthy, status?.disruptionsAllowed], [3, 1, 2]);
    assert.match(await ok(['get', 'pdb', 'web']), /web +N\/A +34% +2/);

    await ok(['patch', 'pdb', 'web', '-p', '{"spec":{"maxUnavailable":1}}']);
    await until('one may go', async () => (await budgetOf('web')).status?.disruptionsAllowed === 1);
    lab.node.decide(({ metadata }) => (ownerOf(metadata) === 'web' ? 'waiting' : 'succeeded'));
    const [first, second] = await webPods();
    await evict(first!.metadata!.name!);
    await assert.rejects(evict(second!.metadata!.name!), (error: SampanError) => {
      assert.equal(error.reason, 'TooManyRequests');
      assert.equal(error.message, "Cannot evict pod as it would violate the pod's disruption budget.");
      assert.equal(error.details.causes?.[0]?.reason, 'DisruptionBudget');
      return true;
    });
    lab.node.decide(({ metadata }) => fates.get(ownerOf(metadata)) ?? 'succeeded');
    await until('it is made up for', async () => (await budgetOf('web')).status?.disruptionsAllowed === 1);
    assert.equal((await budgetOf('web')).status?.disruptedPods, undefined);
  });

  test('kubectl drain empties a node one Pod after another', async () => {
    const drained = await ok([
      'drain',
      'fake-node',
      '--ignore-daemonsets',
      '--force',
      '--delete-emptydir-data',
      '--timeout=60s',
      '--pod-selector=app=web',
    ]);
    assert.match(drained, /node\/fake-node drained/);
    await ok(['uncordon', 'fake-node']);
  });

  test('a Pod that is not ready goes where the budget lets the unhealthy go, and says why it went', async () => {
    fates.set('sick', 'running');
    await ok(['run', 'sick', `--image=${image}`, '--labels=app=sick']);
    await ok(['create', 'pdb', 'sick', '--selector=app=sick', '--min-available=1']);
    await until('the budget is known', async () => (await budgetOf('sick')).status?.expectedPods === 1);
    await until(
      'it runs',
      async () =>
        (await lab.api.client.get<Pod & KubeObject>(resources.pods, 'sick', 'default')).status?.phase === 'Running',
    );
    await assert.rejects(evict('sick'), /violate the pod's disruption budget/);
    await ok(['patch', 'pdb', 'sick', '-p', '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}']);
    await evict('sick');
    await ok(['wait', '--for=delete', '--timeout=60s', 'pod/sick']);
  });
});

describe('Evictions', needsKubectl, () => {
  const evictAsUser = (name: string) =>
    lab.api.client.create(
      resources.pods,
      { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } },
      { namespace: 'default', name, subresource: 'eviction' },
    );
  const runs = (name: string, phase: string) =>
    until(`${name} is ${phase}`, async () => (await lab.podsOf(`app=${name}`))[0]?.status?.phase === phase);

  test('a Pod that two budgets claim cannot be evicted', async () => {
    fates.set('torn', 'ready');
    await ok(['run', 'torn', `--image=${image}`, '--labels=app=torn']);
    await ok(['create', 'pdb', 'torn-1', '--selector=app=torn', '--min-available=0']);
    await ok(['create', 'pdb', 'torn-2', '--selector=app=torn', '--min-available=0']);
    await runs('torn', 'Running');
    await assert.rejects(evictAsUser('torn'), /more than one PodDisruptionBudget/);
  });

  test('a Pod that has ended needs no budget', async () => {
    await ok(['run', 'over', `--image=${image}`, '--labels=app=over', '--restart=Never']);
    await ok(['create', 'pdb', 'over', '--selector=app=over', '--min-available=1']);
    await runs('over', 'Succeeded');
    await evictAsUser('over');
    await ok(['wait', '--for=delete', '--timeout=60s', 'pod/over']);
  });

  test('a Job is told that its Pod was evicted, and may take it for no failure', async () => {
    fates.set('moved', 'ready');
    const rules = [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }];
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image }] } };
    const job = { backoffLimit: 0, podFailurePolicy: { rules }, template };
    await lab.api.client.create(resources.jobs, {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'moved', namespace: 'default' },
      spec: job,
    } as KubeObject);
    await until('it runs', async () => (await lab.jobOf('moved')).status?.ready === 1);
    const [pod] = await lab.podsOf('job-name=moved');
    const watched = await lab.api.client.list(resources.pods, {});
    await evictAsUser(pod!.metadata!.name!);
    const stop = new AbortController();
    const { resourceVersion } = watched;
    for await (const event of lab.api.client.watch<Pod & KubeObject>(
      resources.pods,
      { resourceVersion },
      stop.signal,
    )) {
      if (event.type === 'BOOKMARK' || event.object.metadata?.uid !== pod!.metadata?.uid) continue;
      const told = event.object.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
      assert.deepEqual([told?.status, told?.reason], ['True', 'EvictionByEvictionAPI']);
      break;
    }
    stop.abort();
    await until('another runs', async () => {
      const pods = await lab.podsOf('job-name=moved');
      return pods.some(({ metadata, status }) => metadata?.uid !== pod!.metadata?.uid && status?.phase === 'Running');
    });
  });
});

describe('Autoscalers', needsKubectl, () => {
  const scalerOf = () =>
    lab.api.client.get<HorizontalPodAutoscaler & KubeObject>(resources.horizontalpodautoscalers, 'busy', 'default');
  const pods = async () =>
    (await lab.api.client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector: 'app=busy' }))
      .items;
  /** Every Pod of the Deployment uses so many millicores. */
  const load = async (milli: number) => {
    const containers = [{ name: 'app', nanoCores: milli * 1_000_000, bytes: 1 << 20 }];
    const figures = (await pods()).map(({ metadata: { namespace = '', name = '', uid = '' } = {} }) => {
      return { pod: { namespace, name, uid }, containers };
    });
    // At once: no look finds the list half filled.
    lab.measured.pods.splice(0, Number.POSITIVE_INFINITY, ...figures);
  };
  /** Until some figures are of a time in which their Pod was ready throughout: what an autoscaler judges by. */
  const haveSettled = async () => {
    const { items } = await lab.api.client.list<PodMetrics>(podMetricsRef, { namespace: 'default' });
    const samples = samplesOf(items, 'cpu');
    return (await pods()).some(({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True');
      const sample = samples.get(metadata?.name ?? '');
      return ready && sample && sample.atMs >= Date.parse(ready.lastTransitionTime ?? '') + sample.windowMs;
    });
  };
  /**
   * An autoscaler that has every event of its share before it: each look that finds nothing to judge by takes two of 25, and here it looks five times a
   * second.
   */
  const autoscale = async () => {
    await ok(['delete', 'hpa', 'busy', '--ignore-not-found']);
    await until('figures to judge by', haveSettled);
    await ok(['autoscale', 'deployment', 'busy', '--cpu-percent=50', '--min=1', '--max=3']);
  };
  const conditions = async () =>
    Object.fromEntries(
      ((await scalerOf()).status?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    );

  test('kubectl autoscale grows a Deployment under load, and no further than it may', async () => {
    fates.set('busy', 'ready');
    await ok(['create', 'deployment', 'busy', `--image=${image}`]);
    await ok(['set', 'resources', 'deployment', 'busy', '--requests=cpu=100m']);
    await until('one Pod is ready', async () => (await pods()).length === 1);
    await ok(['autoscale', 'deployment', 'busy', '--cpu-percent=50', '--min=1', '--max=3']);
    await until('no figures yet', async () => (await conditions()).ScalingActive === 'False FailedGetResourceMetric');
    await load(100);
    await autoscale();
    await until('two Pods', async () => (await pods()).length === 2);
    await until('three Pods', async () => {
      await load(100);
      return (await pods()).length === 3;
    });
    await until('as many as it may', async () => {
      await load(100);
      const limited = (await conditions()).ScalingLimited === 'True TooManyReplicas';
      return limited && (await scalerOf()).status?.currentReplicas === 3;
    });
    assert.match(await ok(['get', 'hpa', 'busy']), /busy +Deployment\/busy +cpu: 100%\/50% +1 +3 +3/);
    assert.match(
      await ok(['describe', 'hpa', 'busy']),
      /New size: 2; reason: cpu resource utilization \(percentage of request\) above target/,
    );
  });

  test('it shrinks when the load is gone, as fast as its window lets it', async () => {
    await load(1);
    await autoscale();
    await until('it holds still', async () => (await conditions()).AbleToScale === 'True ScaleDownStabilized');
    const patch = { spec: { behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } } };
    await ok(['patch', 'hpa', 'busy', '--type=merge', '-p', JSON.stringify(patch)]);
    await until('one Pod', async () => (await pods()).length === 1);
    await until('the event', async () =>
      /reason: All metrics below target/.test(await ok(['describe', 'hpa', 'busy'])),
    );
  });

  test('every kubectl makes one, whichever version of the API it speaks', async () => {
    for (const one of findKubectls()) {
      const name = `by-${one.version.replace('.', '-')}`;
      const args = ['autoscale', 'deployment', 'busy', `--name=${name}`, '--cpu-percent=60', '--max=4'];
      const { code, stderr } = await runKubectl(one, args, { kubeconfig: lab.kubeconfig, home: lab.api.directory });
      assert.equal(code, 0, `${one.version}: ${stderr}`);
      const scaler = await lab.api.client.get<HorizontalPodAutoscaler & KubeObject>(
        resources.horizontalpodautoscalers,
        name,
        'default',
      );
      const target = { type: 'Utilization', averageUtilization: 60 };
      assert.deepEqual(scaler.spec?.metrics, [{ type: 'Resource', resource: { name: 'cpu', target } }]);
    }
    const asV1 = JSON.parse(await ok(['get', 'horizontalpodautoscalers.v1.autoscaling', 'busy', '-o', 'json']));
    assert.equal(asV1.spec.targetCPUUtilizationPercentage, 50);
    await ok([
      'patch',
      'horizontalpodautoscalers.v1.autoscaling',
      'busy',
      '--type=merge',
      '-p',
      '{"spec":{"maxReplicas":5}}',
    ]);
    const { spec } = await scalerOf();
    assert.deepEqual([spec?.maxReplicas, spec?.behavior?.scaleDown?.stabilizationWindowSeconds], [5, 0]);
  });

  test('it says what it cannot find', async () => {
    await ok(['delete', 'deployment', 'busy']);
    await until('no target', async () => (await conditions()).AbleToScale === 'False FailedGetScale');
  });
});
