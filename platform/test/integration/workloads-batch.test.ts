/** Jobs, CronJobs, autoscalers and disruption budgets as kubectl users meet them. A fake node ends Pods as the test says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { SampanError } from '@sampan/api/errors.ts';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.js';
import type { CronJob, Job } from 'kubernetes-types/batch/v1.js';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.js';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { CronJobController } from '../../src/controllers/cron-job/cron-job-controller.ts';
import { DeploymentController } from '../../src/controllers/deployment/deployment-controller.ts';
import { DisruptionController } from '../../src/controllers/disruption/disruption-controller.ts';
import { AutoscalerController } from '../../src/controllers/horizontal-pod-autoscaler/autoscaler-controller.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { JobController } from '../../src/controllers/job/job-controller.ts';
import { ReplicaSetController } from '../../src/controllers/replica-set/replica-set-controller.ts';
import { type FakeKubelet, startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { createMeasuredNode } from '../fixtures/measured-node.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { findKubectls, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

const kubectl = findKubectls().at(-1);
const options = kubectl
  ? {}
  : { skip: 'no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...' };
const image = 'registry.example/app:1';

const measured = createMeasuredNode();
let api: TestApi;
let kubeconfig: string;
let node: FakeKubelet;
let informers: SharedInformers;
let controllers: { start(): Promise<void>; close(): Promise<void> }[];

before(async () => {
  api = await startTestApi({ more: { gateway: () => measured.gateway } });
  ({ kubeconfig } = await api.listen());
  const { client } = api;
  const shared = { client, log: silentLogger, clock: systemClock };
  informers = new SharedInformers(shared);
  const parts = { ...shared, informers };
  controllers = [
    new JobController({ ...parts, backoff: { firstMs: 20, maxMs: 100 } }),
    new CronJobController(parts),
    new DisruptionController(parts),
    new ReplicaSetController(parts),
    new DeploymentController(parts),
    new AutoscalerController({ ...parts, periodMs: 200 }),
  ];
  await Promise.all(controllers.map((one) => one.start()));
  node = await startFakeKubelet({
    client,
    bindsAll: true,
    fate: ({ metadata }) => fates.get(kindOf(metadata)) ?? 'succeeded',
  });
});
after(async () => {
  await node[Symbol.asyncDispose]();
  await Promise.all(controllers.map((one) => one.close()));
  await informers.close();
  await api[Symbol.asyncDispose]();
});

/** What becomes of Pods, by the name of the Job or whatever else they are labelled with. */
const fates = new Map<string, ReturnType<NonNullable<Parameters<typeof startFakeKubelet>[0]['fate']>>>();
const kindOf = (metadata: Pod['metadata']) => metadata?.labels?.['job-name'] ?? metadata?.labels?.app ?? '';

async function run(args: string[], input?: string) {
  return runKubectl(kubectl!, args, { kubeconfig, home: api.directory, ...(input ? { input } : {}) });
}

async function ok(args: string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(args, input);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const jobOf = (name: string) => api.client.get<Job & KubeObject>(resources.jobs, name, 'default');
const conditionsOf = (job: Job) =>
  (job.status?.conditions ?? [])
    .filter(({ status }) => status === 'True')
    .map(({ type, reason }) => `${type}: ${reason}`);
const podsOf = async (name: string) =>
  (await api.client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector: `job-name=${name}` }))
    .items;

function manifest(name: string, spec: object, template: object = {}): string {
  const pod = { restartPolicy: 'Never', containers: [{ name: 'main', image }], ...template };
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { ...spec, template: { spec: pod } } };
  return JSON.stringify(job);
}

describe('Jobs', options, () => {
  test('kubectl create job runs to the end, and kubectl wait sees it', async () => {
    await ok(['create', 'job', 'once', `--image=${image}`]);
    await ok(['wait', '--for=condition=complete', '--timeout=15s', 'job/once']);
    const job = await jobOf('once');
    assert.deepEqual([job.status?.succeeded, job.status?.failed, job.status?.active], [1, undefined, undefined]);
    assert.deepEqual(conditionsOf(job), ['SuccessCriteriaMet: CompletionsReached', 'Complete: CompletionsReached']);
    assert.ok(job.status?.completionTime);
    assert.match(await ok(['get', 'job', 'once']), /once +Complete +1\/1/);
    assert.match(await ok(['describe', 'job', 'once']), /1 Succeeded \/ 0 Failed[\s\S]*Created pod: once-/);
    for (const pod of await podsOf('once')) assert.deepEqual(pod.metadata?.finalizers, undefined);
  });

  test('an Indexed Job gives every index a Pod that knows which it is', async () => {
    await ok(['apply', '-f', '-'], manifest('parts', { completions: 5, parallelism: 2, completionMode: 'Indexed' }));
    await ok(['wait', '--for=condition=complete', '--timeout=15s', 'job/parts']);
    const job = await jobOf('parts');
    assert.deepEqual([job.status?.succeeded, job.status?.completedIndexes], [5, '0-4']);
    const pods = await podsOf('parts');
    assert.deepEqual(
      pods.map((pod) => pod.spec?.hostname).sort(),
      [0, 1, 2, 3, 4].map((index) => `parts-${index}`),
    );
    const [pod] = pods;
    const index = pod!.metadata?.annotations?.['batch.kubernetes.io/job-completion-index'];
    assert.equal(pod!.metadata?.labels?.['batch.kubernetes.io/job-completion-index'], index);
    assert.equal(pod!.spec?.hostname, `parts-${index}`);
    assert.ok(pod!.spec?.containers[0]?.env?.some(({ name }) => name === 'JOB_COMPLETION_INDEX'));
  });

  test('a Job whose Pods fail is tried again up to its limit, and then has failed', async () => {
    fates.set('broken', 'failed');
    await ok(['apply', '-f', '-'], manifest('broken', { backoffLimit: 2 }));
    await ok(['wait', '--for=condition=failed', '--timeout=15s', 'job/broken']);
    const job = await jobOf('broken');
    assert.deepEqual([job.status?.failed, job.status?.succeeded], [3, undefined]);
    assert.deepEqual(conditionsOf(job), ['FailureTarget: BackoffLimitExceeded', 'Failed: BackoffLimitExceeded']);
    assert.equal((await podsOf('broken')).length, 3);
  });

  test('each index has its own limit where the Job says so', async () => {
    fates.set('by-index', 'failed');
    const spec = { completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1 };
    await ok(['apply', '-f', '-'], manifest('by-index', spec));
    await ok(['wait', '--for=condition=failed', '--timeout=15s', 'job/by-index']);
    const job = await jobOf('by-index');
    assert.deepEqual([job.status?.failed, job.status?.failedIndexes], [4, '0,1']);
    assert.equal(conditionsOf(job).at(-1), 'Failed: FailedIndexes');
  });

  test('a failure policy ends the Job at the exit code it names', async () => {
    fates.set('policy', { exitCode: 42 });
    const rule = { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } };
    await ok(['apply', '-f', '-'], manifest('policy', { backoffLimit: 6, podFailurePolicy: { rules: [rule] } }));
    await ok(['wait', '--for=condition=failed', '--timeout=15s', 'job/policy']);
    const job = await jobOf('policy');
    assert.deepEqual([job.status?.failed, conditionsOf(job).at(-1)], [1, 'Failed: PodFailurePolicy']);
    assert.match(
      job.status?.conditions?.at(-1)?.message ?? '',
      /Container main for pod default\/policy-\w+ failed with exit code 42 matching FailJob rule at index 0/,
    );
  });

  test('a suspended Job has no Pods until it is resumed', async () => {
    fates.set('later', 'ready');
    await ok(['apply', '-f', '-'], manifest('later', { parallelism: 2, completions: 2 }));
    await until('both run', async () => (await jobOf('later')).status?.ready === 2);
    await ok(['patch', 'job', 'later', '-p', '{"spec":{"suspend":true}}']);
    await until('suspended', async () => conditionsOf(await jobOf('later')).includes('Suspended: JobSuspended'));
    await until('no Pods', async () => (await podsOf('later')).length === 0);
    const suspended = await jobOf('later');
    assert.deepEqual([suspended.status?.startTime, suspended.status?.failed], [undefined, undefined]);
    fates.set('later', 'succeeded');
    await ok(['patch', 'job', 'later', '-p', '{"spec":{"suspend":false}}']);
    await ok(['wait', '--for=condition=complete', '--timeout=15s', 'job/later']);
    assert.ok((await jobOf('later')).status?.startTime);
  });

  test('a Job that takes too long is ended', async () => {
    fates.set('slow', 'ready');
    await ok(['apply', '-f', '-'], manifest('slow', { activeDeadlineSeconds: 1 }));
    await ok(['wait', '--for=condition=failed', '--timeout=15s', 'job/slow']);
    assert.equal(conditionsOf(await jobOf('slow')).at(-1), 'Failed: DeadlineExceeded');
    assert.deepEqual(await podsOf('slow'), []);
  });

  test('a finished Job goes when its time to live is over', async () => {
    await ok(['apply', '-f', '-'], manifest('brief', { ttlSecondsAfterFinished: 1 }));
    await ok(['wait', '--for=condition=complete', '--timeout=15s', 'job/brief']);
    await ok(['wait', '--for=delete', '--timeout=15s', 'job/brief']);
  });

  test('200 Jobs at once go through quickly', async (t) => {
    const begun = performance.now();
    const names = Array.from({ length: 200 }, (_, i) => `many-${i}`);
    await Promise.all(
      names.map((name) =>
        api.client.create(resources.jobs, {
          ...JSON.parse(manifest(name, {})),
          metadata: { name, namespace: 'default', labels: { many: 'yes' } },
        }),
      ),
    );
    await until('all complete', async () => {
      const { items } = await api.client.list<Job & KubeObject>(resources.jobs, {
        namespace: 'default',
        labelSelector: 'many=yes',
      });
      return items.every((job) => conditionsOf(job).some((one) => one.startsWith('Complete')));
    });
    const tookMs = performance.now() - begun;
    t.diagnostic(`200 Jobs took ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 20_000, `${tookMs} ms`);
    const { items } = await api.client.list<Job & KubeObject>(resources.jobs, {
      namespace: 'default',
      labelSelector: 'many=yes',
    });
    assert.ok(
      items.every((job) => job.status?.succeeded === 1),
      'each counted once',
    );
  });
});

describe('CronJobs', options, () => {
  test('kubectl create cronjob starts a Job at every time due, and keeps as many as it is told', async () => {
    await ok(['create', 'cronjob', 'tick', `--image=${image}`, '--schedule=@every 1s']);
    await ok(['patch', 'cronjob', 'tick', '-p', '{"spec":{"successfulJobsHistoryLimit":1}}']);
    const done = async () => (await api.client.get<CronJob & KubeObject>(resources.cronjobs, 'tick', 'default')).status;
    await until('a run that succeeded', async () => (await done())?.lastSuccessfulTime !== undefined);
    assert.match(await ok(['get', 'cronjob', 'tick']), /tick +@every 1s +<none> +False/);
    const { items } = await api.client.list<Job & KubeObject>(resources.jobs, { namespace: 'default' });
    const own = items.filter(({ metadata }) => metadata?.ownerReferences?.[0]?.name === 'tick');
    assert.match(own[0]?.metadata?.name ?? '', /^tick-\d{8}$/);
    await ok(['patch', 'cronjob', 'tick', '-p', '{"spec":{"suspend":true}}']);
    await ok(['create', 'job', 'by-hand', '--from=cronjob/tick']);
    await ok(['wait', '--for=condition=complete', '--timeout=15s', 'job/by-hand']);
  });

  test('schedules and zones that make no sense are refused', async () => {
    const { stderr } = await run(['create', 'cronjob', 'bad', `--image=${image}`, '--schedule=61 * * * *']);
    assert.match(stderr, /spec.schedule: Invalid value: "61 \* \* \* \*": .*above maximum/);
    const zone = await run(['patch', 'cronjob', 'tick', '-p', '{"spec":{"timeZone":"Mars/Olympus"}}']);
    assert.match(zone.stderr, /spec.timeZone: Invalid value: "Mars\/Olympus": unknown time zone Mars\/Olympus/);
  });
});

describe('Disruption budgets', options, () => {
  const budgetOf = (name: string) =>
    api.client.get<PodDisruptionBudget & KubeObject>(resources.poddisruptionbudgets, name, 'default');
  const evict = (name: string) =>
    api.client.create(
      resources.pods,
      { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } },
      { namespace: 'default', name, subresource: 'eviction' },
    );
  const webPods = async () =>
    (await api.client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector: 'app=web' })).items;

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
    node.decide(({ metadata }) => (kindOf(metadata) === 'web' ? 'waiting' : 'succeeded'));
    const [first, second] = await webPods();
    await evict(first!.metadata!.name!);
    await assert.rejects(evict(second!.metadata!.name!), (error: SampanError) => {
      assert.equal(error.reason, 'TooManyRequests');
      assert.equal(error.message, "Cannot evict pod as it would violate the pod's disruption budget.");
      assert.equal(error.details.causes?.[0]?.reason, 'DisruptionBudget');
      return true;
    });
    node.decide(({ metadata }) => fates.get(kindOf(metadata)) ?? 'succeeded');
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
      '--timeout=30s',
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
        (await api.client.get<Pod & KubeObject>(resources.pods, 'sick', 'default')).status?.phase === 'Running',
    );
    await assert.rejects(evict('sick'), /violate the pod's disruption budget/);
    await ok(['patch', 'pdb', 'sick', '-p', '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}']);
    await evict('sick');
    await ok(['wait', '--for=delete', '--timeout=10s', 'pod/sick']);
  });
});

describe('Autoscalers', options, () => {
  const scalerOf = () =>
    api.client.get<HorizontalPodAutoscaler & KubeObject>(resources.horizontalpodautoscalers, 'busy', 'default');
  const pods = async () =>
    (await api.client.list<Pod & KubeObject>(resources.pods, { namespace: 'default', labelSelector: 'app=busy' }))
      .items;
  /** Every Pod of the Deployment uses so many millicores. */
  const load = async (milli: number) => {
    const containers = [{ name: 'app', nanoCores: milli * 1_000_000, bytes: 1 << 20 }];
    measured.pods.splice(0);
    for (const { metadata } of await pods()) {
      measured.pods.push({
        pod: { namespace: 'default', name: metadata?.name ?? '', uid: metadata?.uid ?? '' },
        containers,
      });
    }
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
      const { code, stderr } = await runKubectl(one, args, { kubeconfig, home: api.directory });
      assert.equal(code, 0, `${one.version}: ${stderr}`);
      const scaler = await api.client.get<HorizontalPodAutoscaler & KubeObject>(
        resources.horizontalpodautoscalers,
        name,
        'default',
      );
      const target = { type: 'Utilization', averageUtilization: 60 };
      assert.deepEqual(scaler.spec?.metrics, [{ type: 'Resource', resource: { name: 'cpu', target } }]);
    }
    const asV1 = JSON.parse(await ok(['get', 'horizontalpodautoscalers.v1.autoscaling', 'busy', '-o', 'json']));
    assert.equal(asV1.spec.targetCPUUtilizationPercentage, 50);
    await ok(['patch', 'horizontalpodautoscalers.v1.autoscaling', 'busy', '--type=merge', '-p', '{"spec":{"maxReplicas":5}}']);
    const { spec } = await scalerOf();
    assert.deepEqual([spec?.maxReplicas, spec?.behavior?.scaleDown?.stabilizationWindowSeconds], [5, 0]);
  });

  test('it says what it cannot find', async () => {
    await ok(['delete', 'deployment', 'busy']);
    await until('no target', async () => (await conditions()).AbleToScale === 'False FailedGetScale');
  });
});
