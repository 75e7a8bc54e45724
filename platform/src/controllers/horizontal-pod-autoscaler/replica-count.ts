/**
 * How many replicas bring a metric to its target: pure (kube-controller-manager's replica calculator). Pods that cannot be judged are counted so
 * that they never make the change larger: as idle on the way up, as fully busy on the way down.
 */
import { parseTime } from '@sampan/api/time.ts';
import type { PodObject } from '../pods/pod-facts.ts';

export interface PodSample {
  /** In thousandths: millicores, or thousandths of a byte. */
  milli: number;
  atMs: number;
  windowMs: number;
}

/** Either of both. */
export type MetricTargetValue = { utilization: number } | { averageMilli: number };

export interface CountInput {
  currentReplicas: number;
  target: MetricTargetValue;
  pods: PodObject[];
  /** By Pod name. */
  samples: Map<string, PodSample>;
  /** By Pod name, in thousandths; needed for a utilization. */
  requests: Map<string, number>;
  /** What a starting Pod burns says nothing about load: CPU is judged more carefully. */
  isCpu: boolean;
  nowMs: number;
}

export interface Count {
  replicas: number;
  /** Percent of what was requested. */
  utilization?: number;
  averageMilli: number;
}

/** How far from the target nothing is done. */
const tolerance = 0.1;
const initializationMs = 5 * 60_000;
const initialReadinessMs = 30_000;

interface Groups {
  ready: Set<string>;
  unready: Set<string>;
  missing: Set<string>;
}

/** Throws RangeError when there is nothing to judge by. */
export function countReplicas(input: CountInput): Count {
  const { currentReplicas, pods } = input;
  if (pods.length === 0) throw new RangeError('no pods returned by selector while calculating replica count');
  const groups = groupPods(input);
  const usage = new Map([...input.samples].filter(([name]) => groups.ready.has(name)).map(([n, s]) => [n, s.milli]));
  if (usage.size === 0) throw new RangeError('did not receive metrics for targeted pods (pods might be unready)');
  const measured = ratioOf(usage, input);
  const isUp = measured.ratio > 1;
  const withUnready = groups.unready.size > 0 && isUp;
  const answer = (replicas: number): Count => ({
    replicas,
    averageMilli: measured.averageMilli,
    ...(measured.utilization !== undefined && { utilization: measured.utilization }),
  });
  if (!withUnready && groups.missing.size === 0) {
    return answer(isNear(measured.ratio) ? currentReplicas : ceil(measured.ratio * groups.ready.size));
  }
  if (measured.ratio !== 1) for (const name of groups.missing) usage.set(name, isUp ? 0 : fallback(name, input));
  if (withUnready) for (const name of groups.unready) usage.set(name, 0);
  const { ratio } = ratioOf(usage, input);
  if (isNear(ratio) || (isUp ? ratio < 1 : measured.ratio < 1 && ratio > 1)) return answer(currentReplicas);
  const replicas = ceil(ratio * usage.size);
  const isAgainst = (ratio < 1 && replicas > currentReplicas) || (ratio > 1 && replicas < currentReplicas);
  return answer(isAgainst ? currentReplicas : replicas);
}

/** A Pod nobody knows of is taken for one that is busy, so that it is not taken away by mistake. */
function fallback(name: string, { target, requests }: CountInput): number {
  if ('averageMilli' in target) return target.averageMilli;
  return ((requests.get(name) ?? 0) * Math.max(100, target.utilization)) / 100;
}

function ratioOf(usage: Map<string, number>, { target, requests }: CountInput) {
  let total = 0;
  let requested = 0;
  let counted = 0;
  for (const [name, milli] of usage) {
    if ('utilization' in target && !requests.has(name)) continue;
    total += milli;
    requested += requests.get(name) ?? 0;
    counted += 1;
  }
  if (counted === 0) throw new RangeError('no metrics returned matched known pods');
  const averageMilli = Math.trunc(total / counted);
  if ('averageMilli' in target) return { ratio: averageMilli / target.averageMilli, averageMilli };
  if (requested === 0) throw new RangeError('no metrics returned matched known pods');
  const utilization = Math.trunc((total * 100) / requested);
  return { ratio: utilization / target.utilization, averageMilli, utilization };
}

const isNear = (ratio: number): boolean => Math.abs(1 - ratio) <= tolerance + 1e-9;
/** 2.0000000000000004 Pods are two. */
const ceil = (value: number): number => Math.ceil(value - 1e-9);

function groupPods({ pods, samples, isCpu, nowMs }: CountInput): Groups {
  const groups: Groups = { ready: new Set(), unready: new Set(), missing: new Set() };
  for (const pod of pods) {
    const name = pod.metadata?.name ?? '';
    const phase = pod.status?.phase;
    if (pod.metadata?.deletionTimestamp || phase === 'Failed' || phase === 'Succeeded') continue;
    const sample = samples.get(name);
    if (phase === 'Pending') groups.unready.add(name);
    else if (!sample) groups.missing.add(name);
    else if (isCpu && isUnsettled(pod, sample, nowMs)) groups.unready.add(name);
    else groups.ready.add(name);
  }
  return groups;
}

/** Not ready yet, or measured before it was. */
function isUnsettled(pod: PodObject, sample: PodSample, nowMs: number): boolean {
  const condition = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  const startMs = parseTime(pod.status?.startTime);
  if (!condition || startMs === undefined) return true;
  const changedMs = parseTime(condition.lastTransitionTime) ?? 0;
  if (startMs + initializationMs > nowMs) {
    return condition.status === 'False' || sample.atMs < changedMs + sample.windowMs;
  }
  return condition.status === 'False' && startMs + initialReadinessMs > changedMs;
}
