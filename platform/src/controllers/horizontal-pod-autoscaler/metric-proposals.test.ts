import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetricSpec } from 'kubernetes-types/autoscaling/v2.js';
import type { PodObject } from '../pods/pod-facts.ts';
import { decideScale } from './autoscaler-decision.ts';
import { type Measured, proposeReplicas } from './metric-proposals.ts';
import type { PodMetrics } from './pod-metrics.ts';

const nowMs = Date.parse('2024-01-01T12:00:00Z');
const longAgo = '2024-01-01T11:00:00Z';
const names = ['a', 'b'];

const container = (name: string, requests?: Record<string, string>) => ({
  name,
  image: 'x',
  resources: { ...(requests && { requests }) },
});

function measured(
  change: Partial<Measured> = {},
  requests: Record<string, string> = { cpu: '200m', memory: '100Mi' },
): Measured {
  const pods: PodObject[] = names.map((name) => ({
    metadata: { name },
    spec: { containers: [container('app', requests), container('side', { cpu: '100m', memory: '10Mi' })] },
    status: {
      phase: 'Running',
      startTime: longAgo,
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: longAgo }],
    },
  }));
  const metrics: PodMetrics[] = names.map((name) => ({
    metadata: { name },
    timestamp: '2024-01-01T11:59:50Z',
    window: '10s',
    containers: [
      { name: 'app', usage: { cpu: '200m', memory: '50Mi' } },
      { name: 'side', usage: { cpu: '10m', memory: '5Mi' } },
    ],
  }));
  return { currentReplicas: 2, pods, metrics, nowMs, ...change };
}

const cpu = (averageUtilization: number): MetricSpec => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});
const memory = (averageValue: string): MetricSpec => ({
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue } },
});
const ofApp = (averageUtilization: number): MetricSpec => ({
  type: 'ContainerResource',
  containerResource: { name: 'cpu', container: 'app', target: { type: 'Utilization', averageUtilization } },
});
const queue: MetricSpec = {
  type: 'Pods',
  pods: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '1' } },
};

const scaler = (...metrics: MetricSpec[]) => ({
  metadata: { name: 'h' },
  spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 1, maxReplicas: 10, metrics },
});
const propose = (specs: MetricSpec[], facts = measured()) => proposeReplicas(scaler(...specs), facts);

describe('what the metrics of an autoscaler propose', () => {
  it('is counted over all containers of a Pod, or over the one that is named', () => {
    const all = propose([cpu(70)]);
    assert.deepEqual(all, {
      replicas: 2,
      metric: 'cpu resource utilization (percentage of request)',
      statuses: [
        { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 70, averageValue: '210m' } } },
      ],
    });
    const one = propose([ofApp(50)]);
    assert.ok('replicas' in one && one.replicas === 4, JSON.stringify(one));
  });

  it('is the highest of all', () => {
    const found = propose([cpu(70), memory('10Mi')]);
    assert.ok('replicas' in found);
    assert.deepEqual([found.replicas, found.metric, found.statuses.length], [11, 'memory resource', 2]);
  });

  it('is nothing when a container requests nothing of what is to be shared out', () => {
    assert.deepEqual(propose([cpu(70)], measured({}, { memory: '1Mi' })), {
      reason: 'FailedGetResourceMetric',
      message:
        'invalid metrics (1 invalid out of 1), first error is: failed to get cpu utilization: missing request for cpu in container app of Pod a',
    });
  });

  it('grows, but never shrinks, while one metric cannot be read', () => {
    const up = propose([cpu(35), queue]);
    assert.ok('replicas' in up && up.replicas === 4, JSON.stringify(up));
    const down = propose([cpu(200), queue]);
    assert.ok('reason' in down);
    assert.equal(down.reason, 'FailedGetPodsMetric');
    assert.match(down.message, /no custom metrics API/);
  });

  it('says why there are no figures', () => {
    const away = propose([cpu(70)], measured({ metrics: new Error('the node is away') }));
    assert.ok('reason' in away);
    assert.match(away.message, /unable to fetch metrics from resource metrics API: the node is away$/);
    const none = propose([cpu(70)], measured({ metrics: [] }));
    assert.ok('reason' in none);
    assert.match(none.message, /no metrics returned from resource metrics API$/);
  });
});

describe('an autoscaler', () => {
  const history = { recommendations: [], up: [], down: [] };
  const decide = (currentReplicas: number) =>
    decideScale({ ...measured({ currentReplicas }), scaler: scaler(cpu(70)), history });

  it('leaves what was scaled to zero alone', () => {
    const { desired, conditions } = decide(0);
    assert.equal(desired, 0);
    assert.equal(conditions.find(({ type }) => type === 'ScalingActive')?.reason, 'ScalingDisabled');
  });

  it('brings what is out of bounds back into them, whatever the load', () => {
    const { desired, why } = decide(50);
    assert.deepEqual([desired, why], [10, 'Current number of replicas above Spec.MaxReplicas']);
  });
});
