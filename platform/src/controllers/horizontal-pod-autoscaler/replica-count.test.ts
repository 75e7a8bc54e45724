import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PodObject } from '../pods/pod-facts.ts';
import { type CountInput, countReplicas } from './replica-count.ts';

const nowMs = Date.parse('2024-01-01T12:00:00Z');
const longAgo = '2024-01-01T11:00:00Z';

interface Made {
  milli?: number;
  ready?: boolean;
  phase?: string;
  startTime?: string;
  readySince?: string;
  deleted?: boolean;
}

/** Each Pod requests 1000 and, unless it says otherwise, has long been ready and measured. */
function input(target: CountInput['target'], made: Made[], more: Partial<CountInput> = {}): CountInput {
  const pods: PodObject[] = made.map(
    ({ ready = true, phase = 'Running', startTime = longAgo, readySince = longAgo, deleted }, i) => ({
      metadata: { name: `p${i}`, ...(deleted && { deletionTimestamp: longAgo }) },
      status: {
        phase,
        startTime,
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: readySince }],
      },
    }),
  );
  const measured = made.flatMap(({ milli }, i) =>
    milli === undefined ? [] : [[`p${i}`, { milli, atMs: nowMs, windowMs: 60_000 }] as const],
  );
  const requests = new Map(pods.map((pod) => [pod.metadata!.name!, 1000]));
  return {
    currentReplicas: made.length,
    target,
    pods,
    samples: new Map(measured),
    requests,
    isCpu: true,
    nowMs,
    ...more,
  };
}

const busy = (...milli: number[]): Made[] => milli.map((one) => ({ milli: one }));
const half = { utilization: 50 };

describe('how many replicas a metric asks for', () => {
  const table: [what: string, made: Made[], replicas: number][] = [
    ['twice as many when Pods use twice the target', busy(1000, 1000), 4],
    ['half as many when Pods use half the target', busy(250, 250, 250, 250), 2],
    ['no change within a tenth of the target', busy(540, 550, 540), 3],
    ['one more, rounded up, just beyond the tenth', busy(560, 560, 560), 4],
    ['a Pod without figures counts as idle on the way up', [...busy(1000, 1000), {}], 4],
    ['a Pod without figures counts as busy on the way down', [...busy(100, 100), {}], 3],
    ['no change when a Pod without figures turns the direction', [...busy(300, 300), {}], 3],
    [
      'an unready Pod counts as idle on the way up',
      [...busy(900, 900), { milli: 900, ready: false, startTime: '2024-01-01T11:59:30Z' }],
      4,
    ],
    [
      'an unready Pod is left out on the way down',
      [...busy(250, 250), { milli: 900, ready: false, startTime: '2024-01-01T11:59:30Z' }],
      1,
    ],
    ['a pending Pod counts as idle on the way up', [...busy(1000), { phase: 'Pending' }], 2],
    ['Pods that ended or go are no Pods', [...busy(500, 500), { milli: 0, deleted: true }, { phase: 'Failed' }], 4],
  ];
  for (const [what, made, replicas] of table) {
    it(what, () => assert.equal(countReplicas(input(half, made)).replicas, replicas));
  }

  it('tells utilization and average as the status shows them', () => {
    assert.deepEqual(countReplicas(input(half, busy(300, 500))), { replicas: 2, utilization: 40, averageMilli: 400 });
  });

  it('follows an average value without any requests', () => {
    const average = { averageMilli: 100 };
    const none = { requests: new Map<string, number>() };
    assert.equal(countReplicas(input(average, busy(300, 300), none)).replicas, 6);
    assert.equal(countReplicas(input(average, [...busy(10, 10), {}], none)).replicas, 2);
  });

  it('does not believe the CPU of a Pod measured before it was ready, but its memory', () => {
    const fresh = { milli: 1000, startTime: '2024-01-01T11:59:00Z', readySince: '2024-01-01T11:59:30Z' };
    assert.equal(countReplicas(input(half, [...busy(500, 500), fresh])).replicas, 3);
    assert.equal(countReplicas(input(half, [...busy(500, 500), fresh], { isCpu: false })).replicas, 4);
  });

  it('is not told by no Pods, and not by Pods none of which is measured', () => {
    assert.throws(() => countReplicas(input(half, [])), /no pods returned by selector/);
    assert.throws(() => countReplicas(input(half, [{}, {}])), /did not receive metrics for targeted pods/);
  });
});
