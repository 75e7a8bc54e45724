/**
 * How fast an autoscaler may follow what it computes: stabilisation windows and rate policies (KEP-853). Pure; the history is the caller's to keep.
 */
import type { HPAScalingRules } from 'kubernetes-types/autoscaling/v2.js';

export interface Recommendation {
  atMs: number;
  replicas: number;
}

/** A change that was made; `replicas` is by how many. */
export type ScaleEvent = Recommendation;

export interface ScaleHistory {
  recommendations: Recommendation[];
  up: ScaleEvent[];
  down: ScaleEvent[];
}

export interface LimitInput {
  current: number;
  desired: number;
  min: number;
  max: number;
  /** Absent: as far as it goes by default, at most double (but at least to 4) at a time. */
  scaleUp?: HPAScalingRules;
  scaleDown?: HPAScalingRules;
  history: ScaleHistory;
  nowMs: number;
}

export interface Limited {
  replicas: number;
  reason: string;
  message: string;
}

const defaultDownWindowSeconds = 300;
const defaultScaleDown: HPAScalingRules = { policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] };
const within = { reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };

/** Up no higher than the lowest, down no lower than the highest recommendation of its window. */
export function stabilize({ current, desired, scaleUp, scaleDown, history, nowMs }: LimitInput): number {
  const upFromMs = nowMs - (scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downFromMs = nowMs - (scaleDown?.stabilizationWindowSeconds ?? defaultDownWindowSeconds) * 1000;
  const since = (fromMs: number) =>
    history.recommendations.filter(({ atMs }) => atMs > fromMs).map(({ replicas }) => replicas);
  const lowest = Math.min(desired, ...since(upFromMs));
  const highest = Math.max(desired, ...since(downFromMs));
  return Math.min(Math.max(current, lowest), highest);
}

/** `desired` cut to what bounds and policies allow, and why. */
export function limitRate(input: LimitInput): Limited {
  const { current, desired, min, max } = input;
  if (desired > current) {
    const limit = Math.max(current, upLimit(input));
    const allowed = Math.min(max, limit);
    if (desired <= allowed) return { replicas: desired, ...within };
    return limit < max
      ? limited(allowed, 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate')
      : limited(allowed, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count');
  }
  if (desired < current) {
    const limit = Math.min(current, downLimit(input));
    const allowed = Math.max(min, limit);
    if (desired >= allowed) return { replicas: desired, ...within };
    return limit > min
      ? limited(allowed, 'ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate')
      : limited(allowed, 'TooFewReplicas', 'the desired replica count is less than the minimum replica count');
  }
  return { replicas: desired, ...within };
}

const limited = (replicas: number, reason: string, message: string): Limited => ({ replicas, reason, message });

function upLimit(input: LimitInput): number {
  const { current, scaleUp } = input;
  if (!scaleUp) return Math.max(2 * current, 4);
  if (scaleUp.selectPolicy === 'Disabled') return current;
  const proposals = (scaleUp.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = replicasBefore(input, periodSeconds);
    return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100) - 1e-9);
  });
  return scaleUp.selectPolicy === 'Min' ? Math.min(...proposals) : Math.max(...proposals);
}

function downLimit(input: LimitInput): number {
  const { current, scaleDown = defaultScaleDown } = input;
  if (scaleDown.selectPolicy === 'Disabled') return current;
  const proposals = (scaleDown.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = replicasBefore(input, periodSeconds);
    return type === 'Pods' ? start - value : Math.trunc(start * (1 - value / 100) + 1e-9);
  });
  return scaleDown.selectPolicy === 'Min' ? Math.max(...proposals) : Math.min(...proposals);
}

/** Replicas at the beginning of the period that ends now. */
function replicasBefore({ current, history, nowMs }: LimitInput, periodSeconds: number): number {
  const fromMs = nowMs - periodSeconds * 1000;
  const sum = (events: ScaleEvent[]) =>
    events.filter(({ atMs }) => atMs > fromMs).reduce((total, { replicas }) => total + replicas, 0);
  return current - sum(history.up) + sum(history.down);
}
