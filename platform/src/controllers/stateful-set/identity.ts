/** The name, labels and host name that a Pod of a StatefulSet keeps through all its lives. Pure. */
import { newPod } from '../pods/new-pod.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import {
  type RevisionObject,
  revisionLabel,
  type StatefulSetObject,
  statefulSetType,
  templateOf,
} from './revisions.ts';

const nameLabel = 'statefulset.kubernetes.io/pod-name';
const indexLabel = 'apps.kubernetes.io/pod-index';

export function podName(set: StatefulSetObject, ordinal: number): string {
  return `${set.metadata?.name}-${ordinal}`;
}

/** Undefined when the Pod's name is not one of this set's. */
export function ordinalOf(set: StatefulSetObject, pod: PodObject): number | undefined {
  const prefix = `${set.metadata?.name}-`;
  const name = pod.metadata?.name ?? '';
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^(0|[1-9]\d{0,9})$/.test(rest) ? Number(rest) : undefined;
}

export function revisionNameOf(pod: PodObject): string {
  return pod.metadata?.labels?.[revisionLabel] ?? '';
}

export function statefulPod(set: StatefulSetObject, ordinal: number, revision: RevisionObject): PodObject {
  const pod = newPod(templateOf(revision), set, statefulSetType);
  const name = podName(set, ordinal);
  const { generateName: _, ...metadata } = pod.metadata ?? {};
  const labels = {
    ...metadata.labels,
    [nameLabel]: name,
    [indexLabel]: String(ordinal),
    [revisionLabel]: revision.metadata?.name ?? '',
  };
  const subdomain = set.spec?.serviceName;
  return {
    ...pod,
    metadata: { ...metadata, name, labels },
    spec: { ...pod.spec!, hostname: name, ...(subdomain && { subdomain }) },
  };
}
