/**
 * What the node remembers of a Pod between two looks. All of it can be lost: whatever decides about containers is read from the
 * runtime and the API again, and the rest is begun anew.
 */
import type { Pod, PodCondition, PodStatus } from 'kubernetes-types/core/v1.js';
import { type Eviction, isTerminalPhase, type PodView, type StartFailure, type Waiting } from './decide/model.ts';

export interface StopUnderWay {
  /** Containers are killed then. */
  deadlineMs: number;
  /** Ends the preStop hook early. */
  hurry: AbortController;
}

export class PodState {
  /** As last seen in the API. */
  object: Pod;
  gone: PodView['gone'];
  eviction: Eviction | undefined;
  /** The status we said last: truer than the API's copy until that has caught up. */
  said: PodStatus | undefined;
  sandboxFailure: StartFailure | undefined;
  sandboxFailures = 0;
  finalStatusWritten = false;
  cleanedUp = false;
  /** Nothing of the Pod is left here; only its object may linger for others' finalizers. */
  finished = false;
  /** Volumes were brought on disk, or are being. */
  volumes: Promise<void> | undefined;
  /** Waits for that to end before it brings them on disk again. */
  volumesRefresh: Promise<void> | undefined;
  volumesRefreshAtMs: number | undefined;
  /** The Pod uses its volumes: they are to be kept true. */
  volumesInUse = false;
  /** The object whose references are watched. */
  retained: Pod | undefined;
  /** What /etc/hosts was written for. */
  hostsFor = '';
  /** The size the Pod got by default was told. */
  sizeTold = false;
  wakeAtMs: number | undefined;
  readonly startFailures = new Map<string, StartFailure>();
  readonly waiting = new Map<string, Waiting>();
  /** Keys of steps under way. */
  readonly busy = new Map<string, AbortController>();
  /** Told after each look at the Pod. */
  readonly watchers = new Set<() => void>();
  readonly stops = new Map<string, StopUnderWay>();

  constructor(object: Pod) {
    this.object = object;
  }

  get uid(): string {
    return this.object.metadata?.uid ?? '';
  }

  /** The object with what we know better of its status. */
  get pod(): Pod {
    return this.said ? { ...this.object, status: mergeStatus(this.object.status ?? {}, this.said) } : this.object;
  }

  /** Gives up starts under way: the Pod is ending. */
  abortStarts(): void {
    for (const [key, controller] of this.busy)
      if (key.startsWith('start:')) controller.abort(new Error('the Pod is ending'));
  }
}

/** Ours over the API's, but a terminal phase that somebody else wrote stands, and so do others' conditions. */
function mergeStatus(theirs: PodStatus, ours: PodStatus): PodStatus {
  const ownTypes = new Set((ours.conditions ?? []).map((condition) => condition.type));
  const others = (theirs.conditions ?? []).filter((condition: PodCondition) => !ownTypes.has(condition.type));
  const merged = { ...theirs, ...ours, conditions: [...(ours.conditions ?? []), ...others] };
  if (!isTerminalPhase(theirs.phase) || isTerminalPhase(ours.phase)) return merged;
  return { ...merged, phase: theirs.phase, reason: theirs.reason, message: theirs.message };
}
