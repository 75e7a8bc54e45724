/**
 * One step of a Deployment: which ReplicaSets to make, size and remove, and what to say. Pure and level-based: each step looks only at
 * what is, and the change it makes brings the next look.
 *
 *   paused, or resized     share the size out
 *   RollingUpdate          grow the current set; else shrink old ones; else clean up
 *   Recreate               empty old sets; wait for their Pods to be gone; then make and grow the current one
 */
import type { DeploymentCondition, DeploymentStatus } from 'kubernetes-types/apps/v1.js';
import { controllerOf } from '../pods/controller-ref.ts';
import { hasEnded, type PodObject } from '../pods/pod-facts.ts';
import type { ReplicaSetObject } from '../replica-set/decide.ts';
import {
  byCreation,
  type DeploymentObject,
  findCurrent,
  newReplicaSet,
  replicasOf,
  revisionOf,
  scaled,
  settleCurrent,
} from './replica-sets.ts';
import { currentSize, isUsed, rescale, type Sizes, shrinkOld, uidOf, wasRescaled } from './scaling.ts';
import { deploymentStatus, isComplete } from './status.ts';

export interface DeploymentView {
  deployment: DeploymentObject;
  /** What it owns. */
  sets: ReplicaSetObject[];
  /** Pods of those sets. */
  pods: PodObject[];
  nowMs: number;
}

export interface DeploymentDecision {
  create?: ReplicaSetObject;
  update: ReplicaSetObject[];
  remove: ReplicaSetObject[];
  status: DeploymentStatus;
  /** What the Deployment's own revision annotation should say. */
  revision: bigint;
}

export function decideDeployment(view: DeploymentView): DeploymentDecision {
  const { deployment, sets, nowMs } = view;
  const found = findCurrent(deployment, sets);
  const old = sets.filter((set) => set !== found);
  const next = old.map(revisionOf).reduce((newest, one) => (one > newest ? one : newest), 0n) + 1n;
  const current = found && settleCurrent(deployment, found, next);
  const revision = current ? revisionOf(current) : revisionOf(deployment);
  const idle = { update: [], remove: [], revision };
  const tell = (isRolling: boolean, news?: Pick<DeploymentCondition, 'status' | 'reason' | 'message'>) =>
    deploymentStatus({ deployment, current: found, old, nowMs, isRolling, news });

  if (deployment.metadata?.deletionTimestamp) return { ...idle, status: tell(false) };
  const step = { ...view, current, old };
  const paused = deployment.spec?.paused ?? false;
  if (paused || wasRescaled(step)) {
    const update = resized(step, rescale(step), found);
    const remove = paused ? outdated(step) : [];
    if (paused || update.length > 0) return { ...idle, update, remove, status: tell(false) };
  }
  const rolling = deployment.spec?.strategy?.type === 'Recreate' ? recreate(step) : roll(step);
  if (rolling.makeCurrent) {
    const made = newReplicaSet(deployment, next);
    const create = scaled(deployment, made, currentSize({ deployment, current: undefined, old }));
    const message = `Created new replica set "${made.metadata?.name}"`;
    const status = tell(true, { status: 'True', reason: 'NewReplicaSetCreated', message });
    return { ...idle, create, revision: next, status };
  }
  const isNew = found && !deployment.status?.conditions?.some(({ type }) => type === 'Progressing');
  const message = `Found new replica set "${found?.metadata?.name}"`;
  const status = tell(true, isNew ? { status: 'True', reason: 'FoundNewReplicaSet', message } : undefined);
  const update = resized(step, rolling.sizes, found);
  const isDone = update.length === 0 && isComplete(deployment, status);
  return { ...idle, update, remove: isDone ? outdated(step) : [], status };
}

interface Step extends DeploymentView {
  current: ReplicaSetObject | undefined;
  old: ReplicaSetObject[];
}

interface Rolling {
  makeCurrent: boolean;
  sizes: Sizes;
}

const nothing: Rolling = { makeCurrent: false, sizes: new Map() };

function roll({ deployment, current, old }: Step): Rolling {
  if (!current) return { ...nothing, makeCurrent: true };
  const size = currentSize({ deployment, current, old });
  if (size !== replicasOf(current)) return { ...nothing, sizes: new Map([[uidOf(current), size]]) };
  // Availability is counted on: a status from before a set's last change could promise Pods that are about to go.
  if (![current, ...old].every(isObserved)) return nothing;
  return { ...nothing, sizes: shrinkOld({ deployment, current, old }) };
}

function isObserved({ metadata, status }: ReplicaSetObject): boolean {
  return (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
}

function recreate({ deployment, current, old, pods }: Step): Rolling {
  const used = old.filter(isUsed);
  if (used.length > 0) return { ...nothing, sizes: new Map(used.map((set) => [uidOf(set), 0])) };
  const oldUids = new Set(old.map(uidOf));
  // Pods on their way out still run: two generations never do so side by side.
  if (pods.some((pod) => oldUids.has(controllerOf(pod)?.uid ?? '') && !hasEnded(pod))) return nothing;
  if (!current) return { ...nothing, makeCurrent: true };
  return { ...nothing, sizes: new Map([[uidOf(current), deployment.spec?.replicas ?? 1]]) };
}

/** The sets that have to be written: those with another size, and the current one when its notes changed. */
function resized({ deployment, current, old }: Step, sizes: Sizes, found: ReplicaSetObject | undefined) {
  const written: ReplicaSetObject[] = [];
  for (const set of [...(current ? [current] : []), ...old]) {
    const size = sizes.get(uidOf(set));
    const next = size === undefined ? set : scaled(deployment, set, size);
    const before = set === current ? found : set;
    if (next !== before) written.push(next);
  }
  return written;
}

/** Old sets beyond the history that is kept; those that still have or want Pods stay. */
function outdated({ deployment, old }: Step): ReplicaSetObject[] {
  const limit = deployment.spec?.revisionHistoryLimit ?? 10;
  const alive = old.filter((set) => !set.metadata?.deletionTimestamp);
  const surplus = Math.max(0, alive.length - limit);
  const oldest = alive.sort((a, b) => Number(revisionOf(a) - revisionOf(b)) || byCreation(a, b)).slice(0, surplus);
  return oldest.filter((set) => replicasOf(set) === 0 && (set.status?.replicas ?? 0) === 0 && isObserved(set));
}
