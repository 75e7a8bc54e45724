/**
 * StatefulSet: Pods with names that stay. Rules as kube-apiserver's registry/apps/statefulset and apis/apps/{v1,validation}.
 * Volume claims are refused by name: there is nothing yet that could fulfil them.
 */
import type { StatefulSet, StatefulSetSpec } from 'kubernetes-types/apps/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { forbidden, invalid, invalidFor, required } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import type { Target } from '../../kind.ts';
import { dnsLabelProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';
import { applyPodTemplateDefaults } from '../pod/template.ts';
import { templateCells, templateColumns } from './workload-columns.ts';
import { nonNegative, validateCounts, validateSelectorAndTemplate } from './workload-validation.ts';

const mutable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export const statefulSetKind = defineKind<StatefulSet>({
  ref: resources.statefulsets,
  kind: 'StatefulSet',
  shortNames: ['sts'],
  categories: ['all'],
  subresources: ['status', 'scale'],
  scale: { specReplicas: '.spec.replicas', statusReplicas: '.status.replicas', labelSelector: '.spec.selector' },
  columns: [nameColumn, column('Ready', 'Pods that are ready, of how many.'), ageColumn, ...templateColumns],
  row: (set, nowMs) => [
    nameCell(set),
    `${set.status?.readyReplicas ?? 0}/${set.spec?.replicas ?? 0}`,
    ageCell(set, nowMs),
    ...templateCells(set.spec?.template),
  ],
  defaults({ spec }) {
    if (!spec) return;
    spec.podManagementPolicy ||= 'OrderedReady';
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate = { partition: 0, ...spec.updateStrategy.rollingUpdate };
    }
    spec.persistentVolumeClaimRetentionPolicy = {
      whenDeleted: 'Retain',
      whenScaled: 'Retain',
      ...spec.persistentVolumeClaimRetentionPolicy,
    };
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    if (spec.template) applyPodTemplateDefaults(spec.template);
  },
  prepareCreate(set) {
    Object.assign(set.metadata!, { generation: 1 });
    set.status = { replicas: 0, availableReplicas: 0 };
  },
  prepareUpdate(set, old, target) {
    splitSpecAndStatus(set, old, target);
    bumpGeneration(set, old);
  },
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate,
});

function validateUpdate(set: StatefulSet, old: StatefulSet, target: Target): Cause[] {
  if (target === 'status') {
    return validateCounts(set.status, ['readyReplicas', 'availableReplicas', 'currentReplicas', 'updatedReplicas']);
  }
  const allowed = Object.fromEntries(mutable.map((field) => [field, undefined]));
  const causes = validateSpec(set.spec);
  if (!equalJson({ ...set.spec, ...allowed }, { ...old.spec, ...allowed })) {
    const names = mutable.map((field) => `'${field}'`);
    const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
    causes.push(forbidden('spec', `updates to statefulset spec for fields other than ${list} are forbidden`));
  }
  return causes;
}

function validateSpec(spec: StatefulSetSpec = {} as StatefulSetSpec): Cause[] {
  const causes: Cause[] = [];
  const { podManagementPolicy, selector, template, volumeClaimTemplates = [] } = spec;
  if (!['OrderedReady', 'Parallel'].includes(podManagementPolicy ?? '')) {
    causes.push(invalid('spec.podManagementPolicy', podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  }
  causes.push(...validateUpdateStrategy(spec));
  if (spec.serviceName)
    causes.push(...invalidFor('spec.serviceName', spec.serviceName, dnsLabelProblems(spec.serviceName)));
  causes.push(
    ...nonNegative({
      'spec.replicas': spec.replicas,
      'spec.minReadySeconds': spec.minReadySeconds,
      'spec.revisionHistoryLimit': spec.revisionHistoryLimit,
      'spec.ordinals.start': spec.ordinals?.start,
    }),
    ...validateSelectorAndTemplate({ kind: 'statefulset', selector, template }),
  );
  if (volumeClaimTemplates.length > 0) {
    const detail = 'not supported by this server: there are no volumes that outlive a Pod to claim';
    causes.push(forbidden('spec.volumeClaimTemplates', detail));
  }
  return causes;
}

function validateUpdateStrategy({ updateStrategy }: StatefulSetSpec): Cause[] {
  const { type, rollingUpdate } = updateStrategy ?? {};
  const field = 'spec.updateStrategy';
  if (!type) return [required(field)];
  if (type === 'OnDelete') {
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    return rollingUpdate ? [invalid(`${field}.rollingUpdate`, rollingUpdate, detail)] : [];
  }
  if (type !== 'RollingUpdate') return [invalid(field, updateStrategy, "must be 'RollingUpdate' or 'OnDelete'")];
  const causes = nonNegative({ [`${field}.rollingUpdate.partition`]: rollingUpdate?.partition });
  if (rollingUpdate?.maxUnavailable !== undefined) {
    const detail = 'not supported by this server: Pods are replaced one by one';
    causes.push(forbidden(`${field}.rollingUpdate.maxUnavailable`, detail));
  }
  return causes;
}
