/** Validation of ObjectMeta (apimachinery api/validation): what every kind shares. */
import type { KubeObject } from '../client.ts';
import type { Cause } from '../errors.ts';
import { forbidden, invalid, required, tooLong } from '../field-errors.ts';
import { equalJson } from '../json.ts';
import { dnsLabelProblems, labelValueProblems, qualifiedNameProblems } from '../names.ts';

type Metadata = NonNullable<KubeObject['metadata']>;
export type NameRule = (name: string) => string[];

const maxAnnotationBytes = 256 * 1024;
export const immutableMessage = 'field is immutable';

export function validateMetadata(
  metadata: Metadata = {},
  rule: { namespaced: boolean; nameProblems: NameRule; qualifiedFinalizers?: boolean },
): Cause[] {
  const causes: Cause[] = [];
  const { name, generateName, namespace } = metadata;
  if (generateName) {
    const problems = rule.nameProblems(maskTrailingDash(generateName));
    causes.push(...problems.map((problem) => invalid('metadata.generateName', generateName, problem)));
  }
  if (!name) causes.push(required('metadata.name', 'name or generateName is required'));
  else causes.push(...rule.nameProblems(name).map((problem) => invalid('metadata.name', name, problem)));
  if (rule.namespaced) {
    if (!namespace) causes.push(required('metadata.namespace'));
    else
      causes.push(...dnsLabelProblems(namespace).map((problem) => invalid('metadata.namespace', namespace, problem)));
  } else if (namespace) causes.push(forbidden('metadata.namespace', 'not allowed on this type'));
  if (rule.qualifiedFinalizers) causes.push(...unqualifiedFinalizers(metadata.finalizers, 'metadata.finalizers'));
  return [...causes, ...validateShared(metadata)];
}

const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** What kinds of Kubernetes' own ask of new objects, and custom kinds do not. */
function unqualifiedFinalizers(finalizers: string[] = [], field: string): Cause[] {
  const detail = 'name is neither a standard finalizer name nor is it fully qualified';
  return finalizers.flatMap((name, i) => {
    const isFine = name.includes('/') || standardFinalizers.includes(name) || qualifiedNameProblems(name).length > 0;
    return isFine ? [] : [invalid(`${field}[${i}]`, name, detail)];
  });
}

/** A prefix may end in the dash that stands before the suffix. */
function maskTrailingDash(prefix: string): string {
  return /[^-]-$/.test(prefix) ? `${prefix.slice(0, -1)}a` : prefix;
}

export function validateMetadataUpdate(metadata: Metadata = {}, old: Metadata = {}): Cause[] {
  const causes: Cause[] = [];
  if (old.deletionTimestamp) {
    const added = (metadata.finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer));
    if (added.length > 0) {
      const list = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      causes.push(forbidden('metadata.finalizers', detail));
    }
  }
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp'] as const) {
    if (!equalJson(metadata[field], old[field])) {
      causes.push(invalid(`metadata.${field}`, metadata[field] ?? '', immutableMessage));
    }
  }
  return [...causes, ...validateShared(metadata)];
}

function validateShared(metadata: Metadata): Cause[] {
  return [
    ...validateLabels(metadata.labels, 'metadata.labels'),
    ...validateAnnotations(metadata.annotations, 'metadata.annotations'),
    ...validateOwners(metadata.ownerReferences, 'metadata.ownerReferences'),
    ...validateFinalizers(metadata.finalizers, 'metadata.finalizers'),
  ];
}

export function validateLabels(labels: Record<string, string> = {}, field: string): Cause[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalid(field, key, problem)),
    ...labelValueProblems(value).map((problem) => invalid(field, value, problem)),
  ]);
}

export function validateAnnotations(annotations: Record<string, string> = {}, field: string): Cause[] {
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    causes.push(...qualifiedNameProblems(key.toLowerCase()).map((problem) => invalid(field, key, problem)));
    bytes += utf8Length(key) + utf8Length(value);
  }
  if (bytes > maxAnnotationBytes) causes.push(tooLong(field, maxAnnotationBytes));
  return causes;
}

function validateOwners(owners: Metadata['ownerReferences'] = [], field: string): Cause[] {
  const causes: Cause[] = [];
  let controller = '';
  for (const owner of owners) {
    if (!owner.apiVersion || owner.apiVersion.endsWith('/') || owner.apiVersion.split('/').length > 2) {
      causes.push(invalid(`${field}.apiVersion`, owner.apiVersion, 'version must not be empty'));
    }
    for (const part of ['kind', 'name', 'uid'] as const) {
      if (!owner[part]) causes.push(invalid(`${field}.${part}`, owner[part] ?? '', `${part} must not be empty`));
    }
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      causes.push(invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (!owner.controller) continue;
    const current = `${owner.kind}/${owner.name}`;
    if (controller) {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${current}`;
      causes.push(invalid(field, owners, detail));
    } else controller = current;
  }
  return causes;
}

function validateFinalizers(finalizers: string[] = [], field: string): Cause[] {
  const causes = finalizers.flatMap((finalizer) =>
    qualifiedNameProblems(finalizer).map((problem) => invalid(field, finalizer, problem)),
  );
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    causes.push(invalid(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return causes;
}

/** `old` and `now` must be the same. */
export function validateImmutable(now: unknown, old: unknown, field: string): Cause[] {
  return equalJson(now, old) ? [] : [invalid(field, now ?? null, immutableMessage)];
}

export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
