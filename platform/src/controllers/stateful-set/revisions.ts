/**
 * A StatefulSet's history: one ControllerRevision for each template it had. Pure. The data has the form that kubectl rollout undo
 * patches a StatefulSet with: the template, to be put in whole.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { ControllerRevision, StatefulSet } from 'kubernetes-types/apps/v1.js';
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { canonicalHash } from '../canonical-hash.ts';
import { controllerRefTo } from '../pods/controller-ref.ts';

export type StatefulSetObject = StatefulSet & KubeObject;
export type RevisionObject = ControllerRevision & KubeObject;

export const statefulSetType = { apiVersion: 'apps/v1', kind: 'StatefulSet' };
export const revisionLabel = 'controller-revision-hash';
const hashLabel = 'controller.kubernetes.io/hash';

export interface RevisionDecision {
  /** The revision of the template as it is, made or renumbered where it has to be. */
  update: RevisionObject;
  write: 'nothing' | 'create' | 'renumber';
}

export function decideRevision(set: StatefulSetObject, history: RevisionObject[]): RevisionDecision {
  const sorted = [...history].sort(byRevision);
  const next = (sorted.at(-1)?.revision ?? 0) + 1;
  const data = dataOf(set);
  const same = sorted.findLast((revision) => equalJson(revision.data, data));
  if (same && same === sorted.at(-1)) return { update: same, write: 'nothing' };
  // Back to what was: the old revision becomes the newest.
  if (same) return { update: { ...same, revision: next }, write: 'renumber' };
  return { update: newRevision(set, next), write: 'create' };
}

/** The template that a revision stands for. */
export function templateOf(revision: RevisionObject): PodTemplateSpec {
  const { $patch: _, ...template } = (revision.data as { spec: { template: PodTemplateSpec & { $patch?: string } } })
    .spec.template;
  return template;
}

/** Beyond the limit, oldest first, those that no Pod and no status needs. */
export function outdatedRevisions(
  set: StatefulSetObject,
  history: RevisionObject[],
  live: Set<string>,
): RevisionObject[] {
  const limit = set.spec?.revisionHistoryLimit ?? 10;
  const idle = [...history].sort(byRevision).filter(({ metadata }) => !live.has(metadata?.name ?? ''));
  return idle.slice(0, Math.max(0, idle.length - limit));
}

function newRevision(set: StatefulSetObject, number: number): RevisionObject {
  const data = dataOf(set);
  const hash = canonicalHash(data, set.status?.collisionCount ?? 0);
  const { name, namespace } = set.metadata ?? {};
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...set.spec?.template.metadata?.labels, [hashLabel]: hash },
      ...(set.metadata?.annotations && { annotations: withoutApplied(set.metadata.annotations) }),
      ownerReferences: [controllerRefTo(set, statefulSetType)],
    },
    data: structuredClone(data),
    revision: number,
  };
}

function dataOf(set: StatefulSetObject): object {
  return { spec: { template: { ...set.spec?.template, $patch: 'replace' } } };
}

function withoutApplied(annotations: Record<string, string>): Record<string, string> {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...others } = annotations;
  return others;
}

function byRevision(a: RevisionObject, b: RevisionObject): number {
  return a.revision - b.revision || (String(a.metadata?.name) < String(b.metadata?.name) ? -1 : 1);
}
