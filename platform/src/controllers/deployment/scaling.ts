/**
 * How many replicas each ReplicaSet of a Deployment should have next: one step of a rolling update, or the sharing out of a new size.
 * Pure; the arithmetic is that of kube-controller-manager, so that the same manifests roll in the same steps.
 */
import type { ReplicaSetObject } from '../replica-set/decide.ts';
import {
  byCreation,
  type DeploymentObject,
  desiredAnnotation,
  maxAnnotation,
  replicasOf,
  rollingBounds,
  sum,
} from './replica-sets.ts';

/** Sets whose replicas are to change, by uid. */
export type Sizes = Map<string, number>;

export interface Sets {
  deployment: DeploymentObject;
  /** Absent while the Deployment's template has no set yet. */
  current: ReplicaSetObject | undefined;
  old: ReplicaSetObject[];
}

export const isUsed = (set: ReplicaSetObject): boolean => replicasOf(set) > 0;
export const uidOf = (set: ReplicaSetObject): string => set.metadata?.uid ?? '';
const availableOf = (set: ReplicaSetObject): number => set.status?.availableReplicas ?? 0;

/** The current set's next size under a rolling update: what the surge leaves room for. */
export function currentSize({ deployment, current, old }: Sets): number {
  const wanted = deployment.spec?.replicas ?? 1;
  const has = current ? replicasOf(current) : 0;
  if (has >= wanted) return wanted;
  if (deployment.spec?.strategy?.type === 'Recreate') return wanted;
  const total = has + sum(old, replicasOf);
  const room = wanted + rollingBounds(deployment).maxSurge - total;
  return has + Math.max(0, Math.min(room, wanted - has));
}

/** Old sets shrink: first Pods that are of no use anyway, then as many as may be unavailable. */
export function shrinkOld({ deployment, current, old }: Sets & { current: ReplicaSetObject }): Sizes {
  const before: Sizes = new Map(old.filter(isUsed).map((set) => [uidOf(set), replicasOf(set)]));
  const sizes: Sizes = new Map(before);
  const least = (deployment.spec?.replicas ?? 1) - rollingBounds(deployment).maxUnavailable;
  const total = replicasOf(current) + sum(old, replicasOf);
  const currentUnavailable = replicasOf(current) - availableOf(current);
  let spare = total - least - currentUnavailable;
  if (spare <= 0) return new Map();
  const aged = [...old].filter(isUsed).sort(byCreation);
  for (const set of aged) {
    const useless = Math.min(spare, Math.max(0, replicasOf(set) - availableOf(set)));
    sizes.set(uidOf(set), replicasOf(set) - useless);
    spare -= useless;
  }
  let surplus = availableOf(current) + sum(old, availableOf) - least;
  for (const set of aged) {
    const less = Math.min(Math.max(0, surplus), sizes.get(uidOf(set))!);
    sizes.set(uidOf(set), sizes.get(uidOf(set))! - less);
    surplus -= less;
  }
  return new Map([...sizes].filter(([uid, size]) => size !== before.get(uid)));
}

/** The Deployment's size was changed since its sets were last sized. */
export function wasRescaled({ deployment, current, old }: Sets): boolean {
  return [...(current ? [current] : []), ...old].some((set) => {
    const desired = set.metadata?.annotations?.[desiredAnnotation];
    return isUsed(set) && desired !== undefined && Number(desired) !== (deployment.spec?.replicas ?? 1);
  });
}

/** Shares a new size out: to the one set in use, or in proportion when a rollout is on its way. */
export function rescale(sets: Sets): Sizes {
  const { deployment, current, old } = sets;
  const wanted = deployment.spec?.replicas ?? 1;
  const all = [...(current ? [current] : []), ...old];
  const used = all.filter(isUsed);
  const only =
    used.length === 0 ? (current ?? [...old].sort(byCreation).at(-1)) : used.length === 1 ? used[0] : undefined;
  if (used.length <= 1) return new Map(only ? [[uidOf(only), wanted]] : []);
  if (current && isSaturated(deployment, current)) return new Map(old.filter(isUsed).map((set) => [uidOf(set), 0]));
  return deployment.spec?.strategy?.type === 'RollingUpdate' ? proportional(deployment, used) : new Map();
}

function isSaturated(deployment: DeploymentObject, set: ReplicaSetObject): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  const desired = Number(set.metadata?.annotations?.[desiredAnnotation]);
  return replicasOf(set) === wanted && desired === wanted && availableOf(set) === wanted;
}

function proportional(deployment: DeploymentObject, used: ReplicaSetObject[]): Sizes {
  const wanted = deployment.spec?.replicas ?? 1;
  const allowed = wanted > 0 ? wanted + rollingBounds(deployment).maxSurge : 0;
  const change = allowed - sum(used, replicasOf);
  const bySize = (a: ReplicaSetObject, b: ReplicaSetObject) =>
    replicasOf(b) - replicasOf(a) || (change > 0 ? byCreation(b, a) : byCreation(a, b));
  const sorted = [...used].sort(bySize);
  const sizes: Sizes = new Map();
  let given = 0;
  for (const set of sorted) {
    const share = change === 0 ? 0 : within(fractionOf(deployment, set, allowed), change - given);
    sizes.set(uidOf(set), replicasOf(set) + share);
    given += share;
  }
  // What rounding left over goes to the largest.
  const largest = uidOf(sorted[0]!);
  sizes.set(largest, Math.max(0, sizes.get(largest)! + change - given));
  return sizes;
}

function fractionOf(deployment: DeploymentObject, set: ReplicaSetObject, allowed: number): number {
  if (allowed === 0) return -replicasOf(set);
  const before = Number(set.metadata?.annotations?.[maxAnnotation]) || deployment.status?.replicas || replicasOf(set);
  return Math.round((replicasOf(set) * allowed) / before) - replicasOf(set);
}

/** `share`, but no further from 0 than what is left, and on its side. */
function within(share: number, left: number): number {
  return left >= 0 ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left);
}
