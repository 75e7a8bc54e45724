/** ReplicaSet: keeps a number of like Pods. Rules as kube-apiserver's registry/apps/replicaset and apis/apps/{v1,validation}. */
import type { ReplicaSet, ReplicaSetSpec } from 'kubernetes-types/apps/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import type { Target } from '../../kind.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';
import { validateImmutable } from '../metadata.ts';
import { applyPodTemplateDefaults } from '../pod/template.ts';
import { selectorCell, selectorColumn, templateCells, templateColumns } from './workload-columns.ts';
import { nonNegative, validateCounts, validateSelectorAndTemplate } from './workload-validation.ts';

export const replicaSetKind = defineKind<ReplicaSet>({
  ref: resources.replicasets,
  kind: 'ReplicaSet',
  shortNames: ['rs'],
  categories: ['all'],
  subresources: ['status', 'scale'],
  scale: { specReplicas: '.spec.replicas', statusReplicas: '.status.replicas', labelSelector: '.spec.selector' },
  selectableFields: { 'status.replicas': (set) => String(set.status?.replicas ?? 0) },
  columns: [
    nameColumn,
    column('Desired', 'Pods there should be.', { type: 'integer' }),
    column('Current', 'Pods there are.', { type: 'integer' }),
    column('Ready', 'Pods that are ready.', { type: 'integer' }),
    ageColumn,
    ...templateColumns,
    selectorColumn,
  ],
  row: (set, nowMs) => [
    nameCell(set),
    set.spec?.replicas ?? 0,
    set.status?.replicas ?? 0,
    set.status?.readyReplicas ?? 0,
    ageCell(set, nowMs),
    ...templateCells(set.spec?.template),
    selectorCell(set.spec?.selector),
  ],
  defaults({ spec }) {
    if (!spec) return;
    spec.replicas ??= 1;
    if (spec.template) applyPodTemplateDefaults(spec.template);
  },
  prepareCreate(set) {
    Object.assign(set.metadata!, { generation: 1 });
    Object.assign(set, { status: { replicas: 0 } });
  },
  prepareUpdate(set, old, target) {
    splitSpecAndStatus(set, old, target);
    bumpGeneration(set, old);
  },
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate,
});

function validateUpdate(set: ReplicaSet, old: ReplicaSet, target: Target): Cause[] {
  if (target === 'status') {
    return validateCounts(set.status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']);
  }
  return [...validateSpec(set.spec), ...validateImmutable(set.spec?.selector, old.spec?.selector, 'spec.selector')];
}

function validateSpec(spec: ReplicaSetSpec = {} as ReplicaSetSpec): Cause[] {
  const { replicas, minReadySeconds, selector, template } = spec;
  return [
    ...nonNegative({ 'spec.replicas': replicas, 'spec.minReadySeconds': minReadySeconds }),
    ...validateSelectorAndTemplate({ kind: 'replicaset', selector, template }),
  ];
}
