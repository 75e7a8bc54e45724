import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Autoscaler, horizontalPodAutoscalerKind } from './horizontal-pod-autoscaler.ts';
import { annotationCauses, toV1, toV2 } from './v1-form.ts';

function scaler(spec: object, status: object = { desiredReplicas: 1, currentReplicas: 1 }): Autoscaler {
  const made = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h', namespace: 'default', annotations: { mine: 'yes' } },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3, ...spec },
    status,
  } as Autoscaler;
  horizontalPodAutoscalerKind.applyDefaults(made as never);
  return made;
}

const cpu = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } };
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
};

describe('autoscaling/v1', () => {
  it('shows the CPU utilization as its field, and keeps everything else in annotations', () => {
    const current = {
      type: 'Resource',
      resource: { name: 'cpu', current: { averageUtilization: 42, averageValue: '42m' } },
    };
    const v1 = toV1(
      scaler({ metrics: [cpu, memory] }, { desiredReplicas: 2, currentReplicas: 1, currentMetrics: [current] }),
    );
    assert.equal(v1.apiVersion, 'autoscaling/v1');
    assert.deepEqual([v1.spec?.targetCPUUtilizationPercentage, v1.status?.currentCPUUtilizationPercentage], [60, 42]);
    assert.deepEqual(JSON.parse(v1.metadata!.annotations!['autoscaling.alpha.kubernetes.io/metrics']!), [memory]);
    assert.deepEqual(annotationCauses(v1), []);
  });

  it('loses nothing on the way there and back', () => {
    const conditions = [{ type: 'AbleToScale', status: 'True', lastTransitionTime: '2024-01-01T00:00:00Z' }];
    for (const one of [
      scaler({}),
      scaler({ metrics: [cpu, memory], behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } }),
      scaler({ metrics: [memory] }, { desiredReplicas: 1, currentReplicas: 1, conditions }),
    ]) {
      assert.deepEqual(toV2(toV1(one)), one);
    }
  });

  it('refuses annotations that would not come back', () => {
    for (const text of ['{', '[{"type":1}]', '[{"typo":"Resource"}]']) {
      const v1 = toV1(scaler({}));
      v1.metadata = { ...v1.metadata, annotations: { 'autoscaling.alpha.kubernetes.io/metrics': text } };
      assert.equal(annotationCauses(v1).length, 1, text);
    }
  });
});
