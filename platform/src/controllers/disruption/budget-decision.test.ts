import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DisruptionBudget } from '@sampan/api/kinds/policy/pod-disruption-budget.ts';
import { toTime } from '../../base/clock.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { decideBudget, expectedOf, failedStatus, needsScale } from './budget-decision.ts';

const nowMs = Date.parse('2024-01-01T12:00:00Z');

function budget(spec: DisruptionBudget['spec'], status: Partial<DisruptionBudget['status']> = {}): DisruptionBudget {
  const zeros = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  return { metadata: { name: 'b', generation: 3 }, spec, status: { ...zeros, ...status } };
}

function pods(ready: number, unready = 0): PodObject[] {
  return Array.from({ length: ready + unready }, (_, i) => ({
    metadata: { name: `p${i}` },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
  }));
}

describe('what a budget expects', () => {
  const table: [spec: DisruptionBudget['spec'], podCount: number, scale: number, expected: number, desired: number][] =
    [
      [{ maxUnavailable: 1 }, 0, 5, 5, 4],
      [{ maxUnavailable: '30%' }, 0, 5, 5, 3],
      [{ maxUnavailable: 9 }, 0, 5, 5, 0],
      [{ minAvailable: '50%' }, 0, 5, 5, 3],
      [{ minAvailable: 2 }, 7, 0, 7, 2],
      [{}, 7, 0, 0, 0],
    ];
  for (const [spec, podCount, scale, expectedPods, desiredHealthy] of table) {
    it(`is ${desiredHealthy} of ${expectedPods} for ${JSON.stringify(spec)}`, () => {
      assert.deepEqual(expectedOf(budget(spec), podCount, scale), { expectedPods, desiredHealthy });
    });
  }

  it('is asked of the controllers for all but a plain minAvailable', () => {
    assert.deepEqual(
      [{ minAvailable: 1 }, { minAvailable: '1%' }, { maxUnavailable: 0 }].map((spec) => needsScale(budget(spec))),
      [false, true, true],
    );
  });
});

describe('what a budget allows', () => {
  const expected = { expectedPods: 3, desiredHealthy: 2 };

  it('is as many as are healthy beyond those that must stay', () => {
    const { status } = decideBudget({ budget: budget({}), pods: pods(3), expected, nowMs });
    assert.deepEqual([status.disruptionsAllowed, status.currentHealthy, status.observedGeneration], [1, 3, 3]);
    assert.deepEqual([status.conditions?.[0]?.status, status.conditions?.[0]?.reason], ['True', 'SufficientPods']);
  });

  it('is nothing while too few are ready, and never less than nothing', () => {
    const { status } = decideBudget({ budget: budget({}), pods: pods(1, 2), expected, nowMs });
    assert.deepEqual([status.disruptionsAllowed, status.conditions?.[0]?.reason], [0, 'InsufficientPods']);
  });

  it('does not count Pods whose eviction was granted, until they go or two minutes have passed', () => {
    const granted = (ago: number, now = pods(3)) =>
      decideBudget({ budget: budget({}, { disruptedPods: { p0: toTime(nowMs - ago) } }), pods: now, expected, nowMs });
    const fresh = granted(60_000);
    assert.deepEqual([fresh.status.currentHealthy, fresh.status.disruptionsAllowed], [2, 0]);
    assert.equal(fresh.wakeAtMs, nowMs + 60_000);
    const stale = granted(121_000);
    assert.deepEqual(
      [stale.status.currentHealthy, stale.status.disruptedPods, stale.wakeAtMs],
      [3, undefined, undefined],
    );
    const going = pods(3);
    Object.assign(going[0]!.metadata!, { deletionTimestamp: toTime(nowMs) });
    assert.deepEqual(granted(1000, going).status.disruptedPods, undefined);
    assert.equal(granted(1000, going).status.currentHealthy, 2);
  });

  it('is nothing when it cannot be told', () => {
    const status = failedStatus(budget({}, { disruptionsAllowed: 2 }), 'no scale', nowMs);
    assert.deepEqual(
      [status.disruptionsAllowed, status.conditions?.[0]?.reason, status.conditions?.[0]?.message],
      [0, 'SyncFailed', 'no scale'],
    );
  });
});
