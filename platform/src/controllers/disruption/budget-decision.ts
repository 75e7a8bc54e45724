/**
 * How many Pods of a budget may be evicted now: pure (KEP-85, kube-controller-manager's disruption controller). Evictions that were granted and are not
 * yet seen stand in status.disruptedPods; those Pods count as gone for as long.
 */

import type { DisruptionBudget } from '@sampan/api/kinds/policy/pod-disruption-budget.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { Condition } from 'kubernetes-types/meta/v1.js';
import { toTime } from '../../base/clock.ts';
import { isReady, type PodObject } from '../pods/pod-facts.ts';

/** After it a granted eviction is taken for one that never came. */
const evictionTimeoutMs = 2 * 60_000;

export interface Expected {
  /** Pods there should be. */
  expectedPods: number;
  desiredHealthy: number;
}

/** The number or percentage of `total`, rounded up. */
export function scaledValue(value: number | string, total: number): number {
  return typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100);
}

/** Only a plain minAvailable is known without asking what the Pods' controllers want. */
export function needsScale({ spec }: DisruptionBudget): boolean {
  return spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string';
}

/** `scaleTotal`: replicas that the controllers of the Pods want, where needsScale says so. */
export function expectedOf({ spec }: DisruptionBudget, podCount: number, scaleTotal: number): Expected {
  const { maxUnavailable, minAvailable } = spec ?? {};
  if (maxUnavailable !== undefined) {
    const desiredHealthy = Math.max(0, scaleTotal - scaledValue(maxUnavailable, scaleTotal));
    return { expectedPods: scaleTotal, desiredHealthy };
  }
  if (typeof minAvailable === 'string') {
    return { expectedPods: scaleTotal, desiredHealthy: scaledValue(minAvailable, scaleTotal) };
  }
  return minAvailable === undefined
    ? { expectedPods: 0, desiredHealthy: 0 }
    : { expectedPods: podCount, desiredHealthy: minAvailable };
}

interface Situation {
  budget: DisruptionBudget;
  /** Those the budget selects. */
  pods: PodObject[];
  expected: Expected;
  nowMs: number;
}

export interface BudgetDecision {
  status: NonNullable<DisruptionBudget['status']>;
  /** When a granted eviction runs out. */
  wakeAtMs?: number;
}

export function decideBudget({ budget, pods, expected, nowMs }: Situation): BudgetDecision {
  const disrupted = stillDisrupted(budget, pods, nowMs);
  const healthy = pods.filter(
    (pod) => isReady(pod) && !pod.metadata?.deletionTimestamp && !disrupted.has(pod.metadata?.name ?? ''),
  ).length;
  const { expectedPods, desiredHealthy } = expected;
  const disruptionsAllowed = expectedPods <= 0 ? 0 : Math.max(0, healthy - desiredHealthy);
  const generation = budget.metadata?.generation ?? 0;
  const status = {
    observedGeneration: generation,
    ...(disrupted.size > 0 && { disruptedPods: Object.fromEntries(disrupted) }),
    disruptionsAllowed,
    currentHealthy: healthy,
    desiredHealthy,
    expectedPods,
    conditions: conditionsOf(budget, disruptionsAllowed > 0 ? sufficient : insufficient, nowMs),
  };
  const ends = [...disrupted.values()].map((time) => (parseTime(time) ?? nowMs) + evictionTimeoutMs);
  return ends.length > 0 ? { status, wakeAtMs: Math.min(...ends) } : { status };
}

/** Nothing may be evicted while it is not known what may. */
export function failedStatus(budget: DisruptionBudget, message: string, nowMs: number): BudgetDecision['status'] {
  const failed = { status: 'False', reason: 'SyncFailed', message } as const;
  const before = budget.status!;
  const observedGeneration = budget.metadata?.generation ?? 0;
  return { ...before, observedGeneration, disruptionsAllowed: 0, conditions: conditionsOf(budget, failed, nowMs) };
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;
const sufficient: Verdict = { status: 'True', reason: 'SufficientPods', message: '' };
const insufficient: Verdict = { status: 'False', reason: 'InsufficientPods', message: '' };

function conditionsOf(budget: DisruptionBudget, verdict: Verdict, nowMs: number): Condition[] {
  const type = 'DisruptionAllowed';
  const conditions = budget.status?.conditions ?? [];
  const before = conditions.find((one) => one.type === type);
  const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : toTime(nowMs);
  const made = { type, ...verdict, observedGeneration: budget.metadata?.generation ?? 0, lastTransitionTime };
  return [...conditions.filter((one) => one.type !== type), made];
}

/** Evicted, still there, and not yet on their way out. */
function stillDisrupted({ status }: DisruptionBudget, pods: PodObject[], nowMs: number): Map<string, string> {
  const alive = new Set(
    pods.filter(({ metadata }) => !metadata?.deletionTimestamp).map(({ metadata }) => metadata?.name),
  );
  const known = Object.entries(status?.disruptedPods ?? {}).map(([name, time]) => [name, String(time)] as const);
  return new Map(known.filter(([name, time]) => alive.has(name) && (parseTime(time) ?? 0) + evictionTimeoutMs > nowMs));
}
