/** Namespace: a scope for names. It ends in two steps: Terminating until its finalizers are gone. */
import type { Namespace } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalid } from '../field-errors.ts';
import type { Target } from '../kind.ts';
import { dnsLabelProblems, qualifiedNameProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind, take } from './define.ts';

const nameLabel = 'kubernetes.io/metadata.name';

export const namespaceKind = defineKind<Namespace>({
  ref: resources.namespaces,
  kind: 'Namespace',
  shortNames: ['ns'],
  subresources: ['status', 'finalize'],
  selectableFields: { 'status.phase': (namespace) => namespace.status?.phase ?? '', name: nameCell },
  columns: [nameColumn, column('Status', 'Active or Terminating.'), ageColumn],
  row: (namespace, nowMs) => [nameCell(namespace), namespace.status?.phase ?? '', ageCell(namespace, nowMs)],
  nameProblems: dnsLabelProblems,
  defaults(namespace) {
    const { metadata } = namespace;
    if (metadata?.name) metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name };
    namespace.spec ??= {};
    namespace.status ??= {};
    namespace.status.phase ||= 'Active';
  },
  prepareCreate(namespace) {
    namespace.status = { phase: 'Active' };
    const finalizers = namespace.spec?.finalizers ?? [];
    if (!finalizers.includes('kubernetes')) namespace.spec = { finalizers: [...finalizers, 'kubernetes'] };
  },
  prepareUpdate(namespace, old, target) {
    if (target !== 'finalize') take(namespace, old, 'spec');
    if (target !== 'status') take(namespace, old, 'status');
  },
  validate: validateSpec,
  validateUpdate: (namespace, _old, target) => [...validateSpec(namespace), ...validatePhase(namespace, target)],
  prepareDelete(namespace) {
    namespace.status = { ...namespace.status, phase: 'Terminating' };
  },
  singleDeletes: true,
  extraFinalizers: (namespace) => namespace.spec?.finalizers ?? [],
});

function validateSpec(namespace: Namespace): Cause[] {
  const causes: Cause[] = [];
  for (const [i, finalizer] of (namespace.spec?.finalizers ?? []).entries()) {
    const problems = qualifiedNameProblems(finalizer);
    causes.push(...problems.map((problem) => invalid(`spec.finalizers[${i}]`, finalizer, problem)));
    if (problems.length === 0 && !finalizer.includes('/') && finalizer !== 'kubernetes') {
      const detail = 'name is neither a standard finalizer name nor is it fully qualified';
      causes.push(invalid(`spec.finalizers[${i}]`, finalizer, detail));
    }
  }
  return causes;
}

function validatePhase(namespace: Namespace, target: Target): Cause[] {
  if (target !== 'status') return [];
  const phase = namespace.status?.phase ?? '';
  const wanted = namespace.metadata?.deletionTimestamp ? 'Terminating' : 'Active';
  if (phase === wanted) return [];
  const when = wanted === 'Active' ? 'is empty' : 'is not empty';
  return [invalid('status.Phase', phase, `may only be '${wanted}' if \`deletionTimestamp\` ${when}`)];
}
