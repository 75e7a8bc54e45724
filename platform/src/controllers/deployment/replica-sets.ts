/** A Deployment's ReplicaSets: which is the current one, what a new one looks like, and the notes a Deployment keeps on them. Pure. */

import type { KubeObject } from '@sampan/api/client.ts';
import { equalJson } from '@sampan/api/json.ts';
import { scaledValue } from '@sampan/api/kinds/apps/int-or-percent.ts';
import type { Deployment } from 'kubernetes-types/apps/v1.js';
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { canonicalHash } from '../canonical-hash.ts';
import { controllerRefTo } from '../pods/controller-ref.ts';
import type { ReplicaSetObject } from '../replica-set/decide.ts';

export type DeploymentObject = Deployment & KubeObject;

export const deploymentType = { apiVersion: 'apps/v1', kind: 'Deployment' };
export const hashLabel = 'pod-template-hash';
export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const historyAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';

/** Annotations that are each object's own and not handed from Deployment to ReplicaSet. */
const ownAnnotations = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

/** How many Pods may be too many and too few while a Deployment rolls; never both 0, or nothing would move. */
export function rollingBounds({ spec }: DeploymentObject): { maxSurge: number; maxUnavailable: number } {
  if (spec?.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec?.strategy?.rollingUpdate ?? {};
  const replicas = spec?.replicas ?? 1;
  const surge = scaledValue(maxSurge, replicas, 'up');
  const unavailable = Math.min(scaledValue(maxUnavailable, replicas, 'down'), replicas);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export function replicasOf(set: ReplicaSetObject): number {
  return set.spec?.replicas ?? 1;
}

export const sum = (sets: ReplicaSetObject[], count: (set: ReplicaSetObject) => number): number =>
  sets.reduce((total, set) => total + count(set), 0);

export function byCreation(a: ReplicaSetObject, b: ReplicaSetObject): number {
  const [left, right] = [String(a.metadata?.creationTimestamp), String(b.metadata?.creationTimestamp)];
  if (left !== right) return left < right ? -1 : 1;
  return (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1;
}

/** The oldest set whose Pods are what the Deployment asks for now. */
export function findCurrent(deployment: DeploymentObject, sets: ReplicaSetObject[]): ReplicaSetObject | undefined {
  const wanted = withoutHash(deployment.spec?.template);
  return [...sets].sort(byCreation).find((set) => equalJson(withoutHash(set.spec?.template), wanted));
}

export function sameTemplate(deployment: DeploymentObject, set: ReplicaSetObject): boolean {
  return equalJson(withoutHash(deployment.spec?.template), withoutHash(set.spec?.template));
}

function withoutHash(template: PodTemplateSpec | undefined) {
  const { [hashLabel]: _, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels } };
}

/** Go's int64: beyond what a number holds exactly. What is none counts as 0. */
export function revisionOf({ metadata }: KubeObject): bigint {
  const text = metadata?.annotations?.[revisionAnnotation] ?? '';
  return /^\d{1,18}$/.test(text) || (/^\d{19}$/.test(text) && text <= '9223372036854775807') ? BigInt(text) : 0n;
}

/** The set that the Deployment's template calls for, before it has replicas. */
export function newReplicaSet(deployment: DeploymentObject, revision: bigint): ReplicaSetObject {
  const { spec, status, metadata } = deployment;
  const hash = canonicalHash(spec?.template, status?.collisionCount ?? 0);
  const template = structuredClone(spec?.template);
  const labels = { ...template?.metadata?.labels, [hashLabel]: hash };
  const matchLabels = { ...spec?.selector.matchLabels, [hashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata?.name}-${hash}`,
      namespace: metadata?.namespace,
      labels,
      annotations: { ...handedAnnotations(deployment), [revisionAnnotation]: String(revision) },
      ownerReferences: [controllerRefTo(deployment, deploymentType)],
    },
    spec: {
      replicas: 0,
      ...(spec?.minReadySeconds && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...structuredClone(spec?.selector), matchLabels },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  };
}

/** The current set under its newest revision, with the Deployment's annotations and minReadySeconds; itself when it has all that. */
export function settleCurrent(deployment: DeploymentObject, set: ReplicaSetObject, revision: bigint): ReplicaSetObject {
  const before = revisionOf(set);
  const { minReadySeconds = 0 } = deployment.spec ?? {};
  const annotations = { ...set.metadata?.annotations, ...handedAnnotations(deployment) };
  if (before < revision) {
    annotations[revisionAnnotation] = String(revision);
    const history = annotations[historyAnnotation];
    if (before > 0n) annotations[historyAnnotation] = history ? `${history},${before}` : String(before);
  }
  const isSame =
    equalJson(annotations, set.metadata?.annotations) && minReadySeconds === (set.spec?.minReadySeconds ?? 0);
  if (isSame) return set;
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec!, minReadySeconds } };
}

/** With `replicas`, and notes of what the Deployment wanted when it said so; itself when nothing changes. */
export function scaled(deployment: DeploymentObject, set: ReplicaSetObject, replicas: number): ReplicaSetObject {
  const desired = deployment.spec?.replicas ?? 1;
  const annotations = {
    ...set.metadata?.annotations,
    [desiredAnnotation]: String(desired),
    [maxAnnotation]: String(desired + rollingBounds(deployment).maxSurge),
  };
  if (replicas === replicasOf(set) && equalJson(annotations, set.metadata?.annotations)) return set;
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec!, replicas } };
}

function handedAnnotations({ metadata }: DeploymentObject): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata?.annotations ?? {}).filter(([key]) => !ownAnnotations.has(key)));
}
