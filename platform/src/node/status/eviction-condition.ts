/** The condition by which controllers tell a Pod that the node evicted from one that failed by itself. */
import type { PodCondition } from 'kubernetes-types/core/v1.js';
import type { PodState } from '../pod-state.ts';

type Draft = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

export function evictionCondition({ eviction }: PodState): Draft[] {
  if (!eviction?.disrupted) return [];
  return [{ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message: eviction.message }];
}
