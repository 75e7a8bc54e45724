/** PodDisruptionBudget: how many Pods of a set must stay when Pods are evicted (pkg/apis/policy). */
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.js';
import { type KubeObject, resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { invalid, notSupported } from '../../field-errors.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';
import { validateLabelSelector } from '../label-selector-validation.ts';

export type DisruptionBudget = PodDisruptionBudget & KubeObject;

const noStatus = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
const policies = ['AlwaysAllow', 'IfHealthyBudget'];

export const podDisruptionBudgetKind = defineKind<DisruptionBudget>({
  ref: resources.poddisruptionbudgets,
  kind: 'PodDisruptionBudget',
  conditionalUpdates: true,
  shortNames: ['pdb'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Min Available', 'Pods that must stay.'),
    column('Max Unavailable', 'Pods that may be away.'),
    column('Allowed Disruptions', 'Pods that may be evicted now.', { type: 'integer' }),
    ageColumn,
  ],
  row: (budget, nowMs) => [
    nameCell(budget),
    String(budget.spec?.minAvailable ?? 'N/A'),
    String(budget.spec?.maxUnavailable ?? 'N/A'),
    budget.status?.disruptionsAllowed ?? 0,
    ageCell(budget, nowMs),
  ],
  defaults(budget) {
    budget.spec ??= {};
    budget.status = { ...noStatus, ...budget.status };
  },
  prepareCreate(budget) {
    Object.assign(budget.metadata!, { generation: 1 });
    budget.status = { ...noStatus };
  },
  prepareUpdate(budget, old, target) {
    splitSpecAndStatus(budget, old, target);
    bumpGeneration(budget, old);
  },
  validate: validateSpec,
  validateUpdate: (budget, _old, target) => (target === 'status' ? validateStatus(budget) : validateSpec(budget)),
});

function validateSpec({ spec }: DisruptionBudget): Cause[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec!;
  const causes: Cause[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    causes.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  causes.push(...validateAmount(minAvailable, 'spec.minAvailable'));
  causes.push(...validateAmount(maxUnavailable, 'spec.maxUnavailable'));
  causes.push(...validateLabelSelector(selector ?? {}, 'spec.selector'));
  if (policy !== undefined && !policies.includes(policy)) {
    causes.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, policies));
  }
  return causes;
}

/** A number from 0, or a percentage up to 100%. */
function validateAmount(value: number | string | undefined, field: string): Cause[] {
  if (value === undefined) return [];
  if (typeof value === 'number') return value < 0 ? [invalid(field, value, 'must be greater than or equal to 0')] : [];
  if (!/^[0-9]+%$/.test(value)) {
    const detail = `a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`;
    return [invalid(field, value, detail)];
  }
  return Number.parseInt(value, 10) > 100 ? [invalid(field, value, 'must not be greater than 100%')] : [];
}

function validateStatus({ status }: DisruptionBudget): Cause[] {
  const fields = ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const;
  return fields.flatMap((field) => {
    const value = status?.[field] ?? 0;
    return value < 0 ? [invalid(`status.${field}`, value, 'must be greater than or equal to 0')] : [];
  });
}
