/** Deployment: rolls Pods from one template to the next. Rules as kube-apiserver's registry/apps/deployment and apis/apps/{v1,validation}. */
import type { Deployment, DeploymentSpec } from 'kubernetes-types/apps/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { forbidden, invalid, notSupported } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import type { Target } from '../../kind.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus, take } from '../define.ts';
import { validateImmutable } from '../metadata.ts';
import { applyPodTemplateDefaults } from '../pod/template.ts';
import { isZero, validateIntOrPercent } from './int-or-percent.ts';
import { selectorCell, selectorColumn, templateCells, templateColumns } from './workload-columns.ts';
import { nonNegative, validateCounts, validateSelectorAndTemplate } from './workload-validation.ts';

const strategies = ['Recreate', 'RollingUpdate'];

export const deploymentKind = defineKind<Deployment>({
  ref: resources.deployments,
  kind: 'Deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  subresources: ['status', 'scale'],
  scale: { specReplicas: '.spec.replicas', statusReplicas: '.status.replicas', labelSelector: '.spec.selector' },
  columns: [
    nameColumn,
    column('Ready', 'Pods that are ready, of how many.'),
    column('Up-to-date', 'Pods made from the current template.'),
    column('Available', 'Pods that have been ready for long enough.'),
    ageColumn,
    ...templateColumns,
    selectorColumn,
  ],
  row: (deployment, nowMs) => [
    nameCell(deployment),
    `${deployment.status?.readyReplicas ?? 0}/${deployment.spec?.replicas ?? 0}`,
    deployment.status?.updatedReplicas ?? 0,
    deployment.status?.availableReplicas ?? 0,
    ageCell(deployment, nowMs),
    ...templateCells(deployment.spec?.template),
    selectorCell(deployment.spec?.selector),
  ],
  defaults({ spec }) {
    if (!spec) return;
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...spec.strategy.rollingUpdate };
    }
    if (spec.template) applyPodTemplateDefaults(spec.template);
  },
  prepareCreate(deployment) {
    Object.assign(deployment.metadata!, { generation: 1 });
    Object.assign(deployment, { status: {} });
  },
  prepareUpdate(deployment, old, target) {
    splitSpecAndStatus(deployment, old, target);
    if (target === 'status') return take(deployment.metadata!, old.metadata!, 'labels');
    // Annotations count too: a rollback is asked for by them.
    const isSame =
      equalJson(deployment.spec, old.spec) && equalJson(deployment.metadata?.annotations, old.metadata?.annotations);
    if (!isSame) Object.assign(deployment.metadata!, { generation: (old.metadata?.generation ?? 0) + 1 });
  },
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate,
});

function validateUpdate(deployment: Deployment, old: Deployment, target: Target): Cause[] {
  if (target === 'status') {
    return validateCounts(deployment.status, ['updatedReplicas', 'readyReplicas', 'availableReplicas']);
  }
  return [
    ...validateSpec(deployment.spec),
    ...validateImmutable(deployment.spec?.selector, old.spec?.selector, 'spec.selector'),
  ];
}

function validateSpec(spec: DeploymentSpec = {} as DeploymentSpec): Cause[] {
  const { progressDeadlineSeconds: deadline, minReadySeconds = 0 } = spec;
  const causes = [
    ...nonNegative({ 'spec.replicas': spec.replicas }),
    ...validateSelectorAndTemplate({ kind: 'deployment', ...spec }),
    ...validateStrategy(spec),
    ...nonNegative({
      'spec.minReadySeconds': spec.minReadySeconds,
      'spec.revisionHistoryLimit': spec.revisionHistoryLimit,
      'spec.progressDeadlineSeconds': deadline,
    }),
  ];
  if (deadline !== undefined && deadline <= minReadySeconds) {
    causes.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return causes;
}

function validateStrategy({ strategy }: DeploymentSpec): Cause[] {
  const { type, rollingUpdate } = strategy ?? {};
  const field = 'spec.strategy.rollingUpdate';
  if (!strategies.includes(type ?? '')) return [notSupported('spec.strategy.type', type, strategies)];
  if (type === 'Recreate') {
    return rollingUpdate ? [forbidden(field, "may not be specified when strategy `type` is 'Recreate'")] : [];
  }
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate ?? {};
  const causes = [
    ...validateIntOrPercent(maxUnavailable, `${field}.maxUnavailable`, { atMost100: true }),
    ...validateIntOrPercent(maxSurge, `${field}.maxSurge`),
  ];
  if (causes.length === 0 && isZero(maxUnavailable) && isZero(maxSurge)) {
    causes.push(invalid(`${field}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  }
  return causes;
}
