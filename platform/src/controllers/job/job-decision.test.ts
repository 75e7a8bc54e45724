import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JobWorld } from './job-fixtures.ts';

const indexed = { completionMode: 'Indexed' };
const indexes = (world: JobWorld) =>
  world.active.map(({ metadata }) => Number(metadata?.annotations?.['batch.kubernetes.io/job-completion-index']));

describe('a Job', () => {
  it('runs as many Pods as it may, and no more than are still to succeed', () => {
    const world = new JobWorld({ parallelism: 3, completions: 4 });
    world.settle();
    assert.equal(world.active.length, 3);
    for (const pod of world.active.slice(0, 2)) world.end(pod);
    world.settle();
    assert.deepEqual([world.active.length, world.job.status?.succeeded, world.job.status?.active], [2, 2, 2]);
  });

  it('without completions is done when one Pod succeeded and the others have ended', () => {
    const world = new JobWorld({ parallelism: 2 });
    world.settle();
    world.end(world.active[0]!);
    world.settle();
    assert.deepEqual([world.active.length, world.conditions], [1, []]);
    world.end(world.active[0]!, 1);
    world.settle();
    assert.deepEqual([world.job.status?.succeeded, world.job.status?.failed], [1, 1]);
    assert.deepEqual(world.conditions, ['SuccessCriteriaMet: CompletionsReached', 'Complete: CompletionsReached']);
  });

  it('gives up Pods when it may run fewer, and they count as nothing', () => {
    const world = new JobWorld({ parallelism: 3, completions: 9 });
    world.settle();
    world.job = { ...world.job, spec: { ...world.job.spec!, parallelism: 1 } };
    world.settle();
    assert.deepEqual([world.pods.length, world.job.status?.failed], [1, undefined]);
  });

  it('waits twice as long after every failure, and at once again after a success', () => {
    const world = new JobWorld({ completions: 3, backoffLimit: 6 });
    const fail = () => {
      world.settle();
      world.end(world.active[0]!, 1);
      const { wakeAtMs } = world.settle();
      const waitMs = wakeAtMs === undefined ? 0 : wakeAtMs - world.nowMs;
      world.nowMs = wakeAtMs ?? world.nowMs;
      return waitMs;
    };
    assert.deepEqual([fail(), fail(), fail()], [10_000, 20_000, 40_000]);
    world.settle();
    world.nowMs += 1000;
    world.end(world.active[0]!);
    world.settle();
    world.nowMs += 1000;
    assert.equal(fail(), 10_000);
  });

  it('replaces a Pod that somebody deleted at once, and counts it as failed', () => {
    const world = new JobWorld();
    world.settle();
    const [pod] = world.pods;
    const going = { ...pod!.metadata, deletionTimestamp: '2024-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 };
    world.pods = [{ ...pod!, metadata: going }];
    world.settle();
    assert.deepEqual([world.active.length, world.job.status?.failed], [1, 1]);
  });

  it('holds restarts of containers against its limit where they are restarted in place', () => {
    const world = new JobWorld({ backoffLimit: 2 });
    world.job.spec!.template.spec!.restartPolicy = 'OnFailure';
    world.settle();
    const [pod] = world.active;
    const restarted = (restartCount: number) => [{ name: 'main', image: 'x', imageID: '', ready: true, restartCount }];
    world.pods = [{ ...pod!, status: { phase: 'Running', containerStatuses: restarted(1) } }];
    world.settle();
    assert.deepEqual(world.conditions, []);
    world.pods = [{ ...pod!, status: { phase: 'Running', containerStatuses: restarted(2) } }];
    world.settle();
    assert.equal(world.conditions.at(-1), 'Failed: BackoffLimitExceeded');
  });

  it('is ended by its deadline, which stands still while it is suspended', () => {
    const world = new JobWorld({ activeDeadlineSeconds: 60 });
    assert.equal(world.settle().wakeAtMs, world.nowMs + 60_000);
    world.nowMs += 50_000;
    world.job.spec!.suspend = true;
    world.settle();
    world.nowMs += 3_600_000;
    world.settle();
    world.job.spec!.suspend = false;
    assert.equal(world.settle().wakeAtMs, world.nowMs + 60_000);
    world.nowMs += 60_000;
    world.settle();
    assert.equal(world.conditions.at(-1), 'Failed: DeadlineExceeded');
    assert.deepEqual(world.pods, []);
  });

  it('takes the failures its policy ignores for none', () => {
    const onPodConditions = [{ type: 'DisruptionTarget', status: 'True' }];
    const world = new JobWorld({
      backoffLimit: 0,
      podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions }] },
    });
    world.settle();
    world.end(world.active[0]!, 137, { conditions: [{ type: 'DisruptionTarget', status: 'True' }] });
    world.nowMs = world.settle().wakeAtMs!;
    world.settle();
    assert.deepEqual([world.active.length, world.job.status?.failed, world.conditions], [1, undefined, []]);
    world.end(world.active[0]!, 137);
    world.settle();
    assert.equal(world.conditions.at(-1), 'Failed: BackoffLimitExceeded');
  });

  it('waits for a deleted Pod to end before it replaces it where it is told so', () => {
    const world = new JobWorld({ podReplacementPolicy: 'Failed' });
    world.settle();
    const [pod] = world.pods;
    const going = { ...pod!.metadata, deletionTimestamp: '2024-01-01T00:01:00Z', deletionGracePeriodSeconds: 30 };
    world.pods = [{ ...pod!, metadata: going }];
    world.settle();
    assert.deepEqual([world.pods.length, world.job.status?.terminating], [1, 1]);
    world.end(world.pods[0]!, 143);
    world.nowMs = world.settle().wakeAtMs!;
    world.settle();
    assert.deepEqual([world.active.length, world.job.status?.failed], [1, 1]);
  });

  it('that another controller runs is left alone', () => {
    const world = new JobWorld({ managedBy: 'example.com/other' });
    world.settle();
    assert.deepEqual([world.pods, world.job.status], [[], {}]);
  });

  it('goes when its time to live is over', () => {
    const world = new JobWorld({ ttlSecondsAfterFinished: 100 });
    world.settle();
    world.end(world.active[0]!);
    assert.equal(world.settle().wakeAtMs, world.nowMs + 100_000);
    world.nowMs += 100_000;
    assert.equal(world.decide().remove, true);
  });
});

describe('an Indexed Job', () => {
  it('runs the lowest indexes that nobody has done and nobody is at', () => {
    const world = new JobWorld({ ...indexed, completions: 5, parallelism: 2 });
    world.settle();
    assert.deepEqual(indexes(world), [0, 1]);
    world.end(world.active[1]!);
    world.settle();
    assert.deepEqual([indexes(world), world.job.status?.completedIndexes], [[0, 2], '1']);
  });

  it('counts an index once though two Pods did it', () => {
    const world = new JobWorld({ ...indexed, completions: 2, parallelism: 2 });
    world.settle();
    const twin = structuredClone(world.active[0]!);
    Object.assign(twin.metadata!, { name: 'twin', uid: 'twin' });
    world.pods.push(twin);
    for (const pod of world.pods.slice()) if (pod !== world.pods[1]) world.end(pod);
    world.settle();
    assert.deepEqual([world.job.status?.succeeded, world.job.status?.completedIndexes, world.conditions], [1, '0', []]);
  });

  it('carries the failures of an index on, and gives the index up at its limit', () => {
    const world = new JobWorld({ ...indexed, completions: 2, parallelism: 1, backoffLimitPerIndex: 1 });
    world.settle();
    world.end(world.active[0]!, 1);
    world.settle();
    assert.deepEqual(indexes(world), [1], 'the other index need not wait');
    world.end(world.active[0]!);
    assert.equal(world.settle().wakeAtMs, world.nowMs + 10_000);
    world.nowMs += 10_000;
    world.settle();
    assert.equal(world.active[0]!.metadata?.annotations?.['batch.kubernetes.io/job-index-failure-count'], '1');
    world.end(world.active[0]!, 1);
    world.settle();
    assert.deepEqual([world.job.status?.failedIndexes, world.job.status?.completedIndexes], ['0', '1']);
    assert.deepEqual([world.job.status?.failed, world.conditions.at(-1)], [2, 'Failed: FailedIndexes']);
  });

  it('has succeeded when its success policy says so, and lets the rest go', () => {
    const rules = [{ succeededIndexes: '0,2', succeededCount: 1 }];
    const world = new JobWorld({ ...indexed, completions: 3, parallelism: 3, successPolicy: { rules } });
    world.settle();
    world.end(world.active[1]!);
    world.settle();
    assert.deepEqual(world.conditions, []);
    world.end(world.active[1]!);
    world.settle();
    assert.deepEqual(world.conditions, ['SuccessCriteriaMet: SuccessPolicy', 'Complete: SuccessPolicy']);
    assert.deepEqual([world.active, world.job.status?.failed], [[], undefined]);
  });
});

describe('a success policy over billions of indexes', () => {
  it('costs no more than the indexes that are done', () => {
    const rules = [{ succeededIndexes: '1-2147483645', succeededCount: 1 }];
    const world = new JobWorld({ ...indexed, completions: 2147483647, parallelism: 2, successPolicy: { rules } });
    world.settle();
    world.end(world.active[1]!);
    world.settle();
    assert.equal(world.conditions.at(-1), 'Complete: SuccessPolicy');
  });
});

describe('the count of finished Pods', () => {
  /** Mulberry32. */
  const randomFrom = (seed: number) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  for (const mode of ['NonIndexed', 'Indexed']) {
    it(`is exact in a Job that is ${mode}, wherever the controller is killed`, () => {
      for (let seed = 1; seed <= 150; seed++) {
        const random = randomFrom(seed);
        const world = new JobWorld({ completionMode: mode, completions: 8, parallelism: 3, backoffLimit: 1000 });
        let [good, bad] = [0, 0];
        for (let step = 0; step < 400 && world.conditions.length < 2; step++) {
          for (const pod of world.active) {
            if (random() < 0.5) continue;
            const exitCode = random() < 0.3 ? 1 : 0;
            world.end(pod, exitCode);
            if (exitCode === 0) good += 1;
            else bad += 1;
          }
          // A Pod that was counted may be cleared away by anybody.
          world.pods = world.pods.filter(({ metadata, status }) => {
            return metadata?.finalizers?.length || status?.phase === 'Pending' || random() < 0.5;
          });
          world.act(world.decide(), random() < 0.5 ? Math.floor(random() * 6) : undefined);
          world.nowMs += 1_000_000;
        }
        const { succeeded, failed = 0 } = world.job.status ?? {};
        assert.deepEqual([succeeded, failed], [good, bad], `seed ${seed}`);
        assert.equal(succeeded, 8, `seed ${seed}`);
        assert.equal(world.conditions.at(-1), 'Complete: CompletionsReached', `seed ${seed}`);
      }
    });
  }
});
