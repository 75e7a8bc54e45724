/** Jobs and CronJobs as kubectl users meet them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { CronJob, Job } from 'kubernetes-types/batch/v1.js';
import { type BatchLab, image, needsKubectl, startBatchLab } from './batch-lab.ts';
import { until } from './support/wait.ts';

let lab: BatchLab;
let fates: BatchLab['fates'];
let ok: BatchLab['ok'];
before(async () => {
  lab = await startBatchLab();
  ({ fates, ok } = lab);
});
after(() => lab[Symbol.asyncDispose]());

const conditionsOf = (job: Job) =>
  (job.status?.conditions ?? [])
    .filter(({ status }) => status === 'True')
    .map(({ type, reason }) => `${type}: ${reason}`);

function manifest(name: string, spec: object, template: object = {}): string {
  const pod = { restartPolicy: 'Never', containers: [{ name: 'main', image }], ...template };
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { ...spec, template: { spec: pod } } };
  return JSON.stringify(job);
}

describe('Jobs', needsKubectl, () => {
  test('kubectl create job runs to the end, and kubectl wait sees it', async () => {
    await ok(['create', 'job', 'once', `--image=${image}`]);
    await ok(['wait', '--for=condition=complete', '--timeout=60s', 'job/once']);
    const job = await lab.jobOf('once');
    assert.deepEqual([job.status?.succeeded, job.status?.failed, job.status?.active], [1, undefined, undefined]);
    assert.deepEqual(conditionsOf(job), ['SuccessCriteriaMet: CompletionsReached', 'Complete: CompletionsReached']);
    assert.ok(job.status?.completionTime);
    assert.match(await ok(['get', 'job', 'once']), /once +Complete +1\/1/);
    assert.match(await ok(['describe', 'job', 'once']), /1 Succeeded \/ 0 Failed[\s\S]*Created pod: once-/);
    for (const pod of await lab.podsOf('job-name=once')) assert.deepEqual(pod.metadata?.finalizers, undefined);
  });

  test('an Indexed Job gives every index a Pod that knows which it is', async () => {
    await ok(['apply', '-f', '-'], manifest('parts', { completions: 5, parallelism: 2, completionMode: 'Indexed' }));
    await ok(['wait', '--for=condition=complete', '--timeout=60s', 'job/parts']);
    const job = await lab.jobOf('parts');
    assert.deepEqual([job.status?.succeeded, job.status?.completedIndexes], [5, '0-4']);
    const pods = await lab.podsOf('job-name=parts');
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
    await ok(['wait', '--for=condition=failed', '--timeout=60s', 'job/broken']);
    const job = await lab.jobOf('broken');
    assert.deepEqual([job.status?.failed, job.status?.succeeded], [3, undefined]);
    assert.deepEqual(conditionsOf(job), ['FailureTarget: BackoffLimitExceeded', 'Failed: BackoffLimitExceeded']);
    assert.equal((await lab.podsOf('job-name=broken')).length, 3);
  });

  test('each index has its own limit where the Job says so', async () => {
    fates.set('by-index', 'failed');
    const spec = { completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1 };
    await ok(['apply', '-f', '-'], manifest('by-index', spec));
    await ok(['wait', '--for=condition=failed', '--timeout=60s', 'job/by-index']);
    const job = await lab.jobOf('by-index');
    assert.deepEqual([job.status?.failed, job.status?.failedIndexes], [4, '0,1']);
    assert.equal(conditionsOf(job).at(-1), 'Failed: FailedIndexes');
  });

  test('a failure policy ends the Job at the exit code it names', async () => {
    fates.set('policy', { exitCode: 42 });
    const rule = { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } };
    await ok(['apply', '-f', '-'], manifest('policy', { backoffLimit: 6, podFailurePolicy: { rules: [rule] } }));
    await ok(['wait', '--for=condition=failed', '--timeout=60s', 'job/policy']);
    const job = await lab.jobOf('policy');
    assert.deepEqual([job.status?.failed, conditionsOf(job).at(-1)], [1, 'Failed: PodFailurePolicy']);
    assert.match(
      job.status?.conditions?.at(-1)?.message ?? '',
      /Container main for pod default\/policy-\w+ failed with exit code 42 matching FailJob rule at index 0/,
    );
  });

  test('a suspended Job has no Pods until it is resumed', async () => {
    fates.set('later', 'ready');
    await ok(['apply', '-f', '-'], manifest('later', { parallelism: 2, completions: 2 }));
    await until('both run', async () => (await lab.jobOf('later')).status?.ready === 2);
    await ok(['patch', 'job', 'later', '-p', '{"spec":{"suspend":true}}']);
    await until('suspended', async () => conditionsOf(await lab.jobOf('later')).includes('Suspended: JobSuspended'));
    await until('no Pods', async () => (await lab.podsOf('job-name=later')).length === 0);
    const suspended = await lab.jobOf('later');
    assert.deepEqual([suspended.status?.startTime, suspended.status?.failed], [undefined, undefined]);
    fates.set('later', 'succeeded');
    await ok(['patch', 'job', 'later', '-p', '{"spec":{"suspend":false}}']);
    await ok(['wait', '--for=condition=complete', '--timeout=60s', 'job/later']);
    assert.ok((await lab.jobOf('later')).status?.startTime);
  });

  test('a Job that takes too long is ended', async () => {
    fates.set('slow', 'ready');
    await ok(['apply', '-f', '-'], manifest('slow', { activeDeadlineSeconds: 1 }));
    await ok(['wait', '--for=condition=failed', '--timeout=60s', 'job/slow']);
    assert.equal(conditionsOf(await lab.jobOf('slow')).at(-1), 'Failed: DeadlineExceeded');
    assert.deepEqual(await lab.podsOf('job-name=slow'), []);
  });

  test('a finished Job goes when its time to live is over', async () => {
    await ok(['apply', '-f', '-'], manifest('brief', { ttlSecondsAfterFinished: 1 }));
    await until('it is gone', async () => isReason(await lab.jobOf('brief').catch((error) => error), 'NotFound'));
    await ok(['apply', '-f', '-'], manifest('kept', { ttlSecondsAfterFinished: 1000 }));
    await ok(['wait', '--for=condition=complete', '--timeout=60s', 'job/kept']);
    await ok(['patch', 'job', 'kept', '-p', '{"spec":{"ttlSecondsAfterFinished":1}}']);
    await until('it is gone too', async () => isReason(await lab.jobOf('kept').catch((error) => error), 'NotFound'));
  });

  test('Pods go with their Job, and those it leaves behind wait for nobody', async () => {
    fates.set('gone', 'ready').set('left', 'ready');
    await ok(['apply', '-f', '-'], manifest('gone', {}));
    await ok(['apply', '-f', '-'], manifest('left', {}));
    await until('both run', async () => (await lab.podsOf('job-name in (gone,left)')).length === 2);
    await ok(['delete', 'job', 'gone', '--wait']);
    await until('its Pod is gone', async () => (await lab.podsOf('job-name=gone')).length === 0);
    await ok(['delete', 'job', 'left', '--cascade=orphan', '--wait']);
    await until('nothing holds its Pod', async () => {
      const [pod] = await lab.podsOf('job-name=left');
      return pod && !pod.metadata?.finalizers?.length && !pod.metadata?.ownerReferences?.length;
    });
    await ok(['delete', 'pod', '-l', 'job-name=left', '--wait']);
  });

  test('a Job takes back a Pod that lost its owner, and lets go of one it no longer selects', async () => {
    fates.set('takes', 'ready');
    await ok(['apply', '-f', '-'], manifest('takes', { parallelism: 2 }));
    await until('both run', async () => (await lab.jobOf('takes')).status?.active === 2);
    const [pod] = await lab.podsOf('job-name=takes');
    const name = pod!.metadata!.name!;
    const patch = (metadata: object) => ok(['patch', 'pod', name, '--type=merge', '-p', JSON.stringify({ metadata })]);
    const find = () => lab.api.client.get<KubeObject>(resources.pods, name, 'default');
    await patch({ ownerReferences: null });
    await until('it is the owner again', async () => (await find()).metadata?.ownerReferences?.[0]?.name === 'takes');
    assert.deepEqual((await find()).metadata?.finalizers, pod!.metadata?.finalizers);
    assert.equal((await lab.podsOf('job-name=takes')).length, 2, 'it made none in its place');
    await patch({ labels: Object.fromEntries(Object.keys(pod!.metadata!.labels!).map((label) => [label, null])) });
    await until('it is let go and another stands in its place', async () => {
      const { metadata } = await find();
      const isFree = !metadata?.ownerReferences?.length && !metadata?.finalizers?.length;
      return isFree && (await lab.podsOf('job-name=takes')).length === 2;
    });
    await ok(['delete', 'pod', name, '--wait']);
    await ok(['delete', 'job', 'takes', '--wait']);
  });

  test('200 Jobs at once go through quickly', async (t) => {
    const begun = performance.now();
    const names = Array.from({ length: 200 }, (_, i) => `many-${i}`);
    await Promise.all(
      names.map((name) =>
        lab.api.client.create(resources.jobs, {
          ...JSON.parse(manifest(name, {})),
          metadata: { name, namespace: 'default', labels: { many: 'yes' } },
        }),
      ),
    );
    await until('all complete', async () => {
      const { items } = await lab.api.client.list<Job & KubeObject>(resources.jobs, {
        namespace: 'default',
        labelSelector: 'many=yes',
      });
      return items.every((job) => conditionsOf(job).some((one) => one.startsWith('Complete')));
    });
    const tookMs = performance.now() - begun;
    t.diagnostic(`200 Jobs took ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 50_000, `${tookMs} ms`);
    const { items } = await lab.api.client.list<Job & KubeObject>(resources.jobs, {
      namespace: 'default',
      labelSelector: 'many=yes',
    });
    assert.ok(
      items.every((job) => job.status?.succeeded === 1),
      'each counted once',
    );
  });
});

describe('CronJobs', needsKubectl, () => {
  test('kubectl create cronjob starts a Job at every time due, and keeps as many as it is told', async () => {
    await ok(['create', 'cronjob', 'tick', `--image=${image}`, '--schedule=@every 1s']);
    await ok(['patch', 'cronjob', 'tick', '-p', '{"spec":{"successfulJobsHistoryLimit":1}}']);
    const done = async () =>
      (await lab.api.client.get<CronJob & KubeObject>(resources.cronjobs, 'tick', 'default')).status;
    await until('a run that succeeded', async () => (await done())?.lastSuccessfulTime !== undefined);
    assert.match(await ok(['get', 'cronjob', 'tick']), /tick +@every 1s +<none> +False/);
    const { items } = await lab.api.client.list<Job & KubeObject>(resources.jobs, { namespace: 'default' });
    const own = items.filter(({ metadata }) => metadata?.ownerReferences?.[0]?.name === 'tick');
    assert.match(own[0]?.metadata?.name ?? '', /^tick-\d{8}$/);
    await ok(['patch', 'cronjob', 'tick', '-p', '{"spec":{"suspend":true}}']);
    await ok(['create', 'job', 'by-hand', '--from=cronjob/tick']);
    await ok(['wait', '--for=condition=complete', '--timeout=60s', 'job/by-hand']);
  });

  test('schedules and zones that make no sense are refused', async () => {
    const { stderr } = await lab.run(['create', 'cronjob', 'bad', `--image=${image}`, '--schedule=61 * * * *']);
    assert.match(stderr, /spec.schedule: Invalid value: "61 \* \* \* \*": .*above maximum/);
    const zone = await lab.run(['patch', 'cronjob', 'tick', '-p', '{"spec":{"timeZone":"Mars/Olympus"}}']);
    assert.match(zone.stderr, /spec.timeZone: Invalid value: "Mars\/Olympus": unknown time zone Mars\/Olympus/);
  });
});
