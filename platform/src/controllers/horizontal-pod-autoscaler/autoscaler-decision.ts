/** How many replicas an autoscaler wants now, and what it says of itself: pure. */
import type { Autoscaler } from '@sampan/api/kinds/autoscaling/horizontal-pod-autoscaler.ts';
import type { HorizontalPodAutoscalerCondition, MetricStatus } from 'kubernetes-types/autoscaling/v2.js';
import { toTime } from '../../base/clock.ts';
import { type Measured, proposeReplicas } from './metric-proposals.ts';
import { limitRate, type ScaleHistory, stabilize } from './scaling-limits.ts';

export type Conditions = HorizontalPodAutoscalerCondition[];

export interface ScaleDecision {
  /** Undefined: it cannot be told; nothing is changed. */
  desired?: number;
  /** Why it changes, as the event tells it. */
  why: string;
  metrics: MetricStatus[];
  conditions: Conditions;
  /** What the metrics asked for, to be remembered. */
  recommendation?: number;
  failure?: { reason: string; message: string };
}

export interface ScaleSituation extends Measured {
  scaler: Autoscaler;
  history: ScaleHistory;
}

const ableMessage = "the HPA controller was able to get the target's current scale";

export function decideScale(situation: ScaleSituation): ScaleDecision {
  const { scaler, currentReplicas, nowMs } = situation;
  const { minReplicas = 1, maxReplicas } = scaler.spec!;
  const set = conditionSetter(scaler, nowMs);
  set('AbleToScale', 'True', 'SucceededGetScale', ableMessage);
  const whole = { metrics: scaler.status?.currentMetrics ?? [], why: '' };
  if (currentReplicas === 0) {
    set(
      'ScalingActive',
      'False',
      'ScalingDisabled',
      'scaling is disabled since the replica count of the target is zero',
    );
    return { ...whole, desired: 0, conditions: set.conditions() };
  }
  if (currentReplicas > maxReplicas) {
    const why = 'Current number of replicas above Spec.MaxReplicas';
    return { ...whole, desired: maxReplicas, why, conditions: set.conditions() };
  }
  if (currentReplicas < minReplicas) {
    const why = 'Current number of replicas below Spec.MinReplicas';
    return { ...whole, desired: minReplicas, why, conditions: set.conditions() };
  }
  const proposal = proposeReplicas(scaler, situation);
  if ('reason' in proposal) {
    const message = `the HPA was unable to compute the replica count: ${proposal.message}`;
    set('ScalingActive', 'False', proposal.reason, message);
    return { ...whole, metrics: [], conditions: set.conditions(), failure: proposal };
  }
  const found = `the HPA was able to successfully calculate a replica count from ${proposal.metric}`;
  set('ScalingActive', 'True', 'ValidMetricFound', found);
  const desired = withinLimits(situation, proposal.replicas, set);
  const why = desired > currentReplicas ? `${proposal.metric} above target` : 'All metrics below target';
  return { desired, why, metrics: proposal.statuses, conditions: set.conditions(), recommendation: proposal.replicas };
}

type Setter = ReturnType<typeof conditionSetter>;

function withinLimits(
  { scaler, currentReplicas, history, nowMs }: ScaleSituation,
  wanted: number,
  set: Setter,
): number {
  const { minReplicas: min = 1, maxReplicas: max, behavior } = scaler.spec!;
  const input = { current: currentReplicas, desired: wanted, min, max, ...behavior, history, nowMs };
  const stable = stabilize(input);
  if (stable !== wanted) {
    const [reason, message] =
      wanted >= currentReplicas
        ? [
            'ScaleUpStabilized',
            'recent recommendations were lower than current one, applying the lowest recent recommendation',
          ]
        : [
            'ScaleDownStabilized',
            'recent recommendations were higher than current one, applying the highest recent recommendation',
          ];
    set('AbleToScale', 'True', reason, message);
  } else set('AbleToScale', 'True', 'ReadyForNewScale', 'recommended size matches current size');
  const { replicas, reason, message } = limitRate({ ...input, desired: stable });
  set('ScalingLimited', replicas === stable ? 'False' : 'True', reason, message);
  return replicas;
}

/** Conditions keep the time of their last change while they say the same. */
export function conditionSetter(scaler: Autoscaler, nowMs: number) {
  let conditions = [...(scaler.status?.conditions ?? [])];
  const set = (type: string, status: 'True' | 'False', reason = '', message = '') => {
    const before = conditions.find((one) => one.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime! : toTime(nowMs);
    const made = { type, status, lastTransitionTime, reason, message };
    conditions = before ? conditions.map((one) => (one === before ? made : one)) : [...conditions, made];
  };
  return Object.assign(set, { conditions: () => conditions });
}
