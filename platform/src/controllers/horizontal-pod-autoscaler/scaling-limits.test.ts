import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LimitInput, limitRate, stabilize } from './scaling-limits.ts';

const nowMs = 1_700_000_000_000;
const none = { recommendations: [], up: [], down: [] };
const ago = (seconds: number, replicas: number) => ({ atMs: nowMs - seconds * 1000, replicas });

function input(change: Partial<LimitInput>): LimitInput {
  return { current: 10, desired: 10, min: 1, max: 100, history: none, nowMs, ...change };
}

describe('the stabilisation window', () => {
  const history = { ...none, recommendations: [ago(400, 50), ago(200, 9), ago(100, 7)] };

  it('goes down no further than the highest recommendation of five minutes', () => {
    assert.equal(stabilize(input({ desired: 3, history })), 9);
    assert.equal(stabilize(input({ desired: 3, history, scaleDown: { stabilizationWindowSeconds: 150 } })), 7);
    assert.equal(stabilize(input({ desired: 3, history, scaleDown: { stabilizationWindowSeconds: 0 } })), 3);
  });

  it('goes up at once, or no further than the lowest recommendation of its window', () => {
    const low = { ...none, recommendations: [ago(20, 12), ago(10, 15)] };
    assert.equal(stabilize(input({ desired: 20, history: low })), 20);
    assert.equal(stabilize(input({ desired: 20, history: low, scaleUp: { stabilizationWindowSeconds: 60 } })), 12);
  });
});

describe('the rate of scaling', () => {
  const rules = (type: 'Pods' | 'Percent', value: number, more = {}) => ({
    selectPolicy: 'Max',
    policies: [{ type, value, periodSeconds: 60 }],
    ...more,
  });
  const table: [what: string, change: Partial<LimitInput>, replicas: number, reason: string][] = [
    ['is unlimited within double by default', { desired: 18 }, 18, 'DesiredWithinRange'],
    ['is double at a time by default', { desired: 50 }, 20, 'ScaleUpLimit'],
    ['reaches four from one at once by default', { current: 1, desired: 9 }, 4, 'ScaleUpLimit'],
    ['ends at the most replicas', { desired: 50, max: 15 }, 15, 'TooManyReplicas'],
    ['ends at the fewest replicas', { desired: 0, min: 2 }, 2, 'TooFewReplicas'],
    ['adds so many Pods in a period', { desired: 50, scaleUp: rules('Pods', 4) }, 14, 'ScaleUpLimit'],
    ['adds so many percent, rounded up', { desired: 50, scaleUp: rules('Percent', 15) }, 12, 'ScaleUpLimit'],
    [
      'counts what was added in the period already',
      { desired: 50, scaleUp: rules('Pods', 4), history: { ...none, up: [ago(30, 3), ago(90, 5)] } },
      11,
      'ScaleUpLimit',
    ],
    ['takes away so many percent', { desired: 1, scaleDown: rules('Percent', 50) }, 5, 'ScaleDownLimit'],
    [
      'stands still where it is disabled',
      { desired: 1, scaleDown: rules('Pods', 5, { selectPolicy: 'Disabled' }) },
      10,
      'ScaleDownLimit',
    ],
    [
      'is that of the strictest policy where Min is selected',
      {
        desired: 50,
        scaleUp: { selectPolicy: 'Min', policies: [...rules('Pods', 4).policies, ...rules('Percent', 100).policies] },
      },
      14,
      'ScaleUpLimit',
    ],
    [
      'is that of the largest policy where Max is selected',
      {
        desired: 50,
        scaleUp: { selectPolicy: 'Max', policies: [...rules('Pods', 4).policies, ...rules('Percent', 100).policies] },
      },
      20,
      'ScaleUpLimit',
    ],
  ];
  for (const [what, change, replicas, reason] of table) {
    it(what, () => {
      const limited = limitRate(input(change));
      assert.deepEqual([limited.replicas, limited.reason], [replicas, reason]);
    });
  }
});
