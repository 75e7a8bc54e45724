/** PriorityClass: a number by a name; Pods of higher priority are scheduled first. */
import type { PriorityClass } from 'kubernetes-types/scheduling/v1.js';
import type { ResourceRef } from '../client.ts';
import type { Cause } from '../errors.ts';
import { forbidden, notSupported } from '../field-errors.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';
import { validateImmutable } from './metadata.ts';

const highestUserPriority = 1_000_000_000;
const systemNames = ['system-node-critical', 'system-cluster-critical'];
const preemption = ['Never', 'PreemptLowerPriority'];

export const priorityClasses = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  resource: 'priorityclasses',
  namespaced: false,
} as const satisfies ResourceRef;

export const priorityClassKind = defineKind<PriorityClass>({
  ref: priorityClasses,
  kind: 'PriorityClass',
  shortNames: ['pc'],
  columns: [
    nameColumn,
    column('Value', 'The priority.', { type: 'integer' }),
    column('Global-Default', 'Whether Pods without a class get this one.', { type: 'boolean' }),
    ageColumn,
    column('PreemptionPolicy', 'Whether its Pods displace others.'),
  ],
  row: (priority, nowMs) => [
    nameCell(priority),
    priority.value,
    priority.globalDefault ?? false,
    ageCell(priority, nowMs),
    priority.preemptionPolicy ?? '',
  ],
  defaults(priority) {
    priority.value ??= 0;
    priority.preemptionPolicy ||= 'PreemptLowerPriority';
  },
  validate,
  validateUpdate: (priority, old) => [
    ...validateImmutable(priority.value, old.value, 'value'),
    ...validateImmutable(priority.preemptionPolicy, old.preemptionPolicy, 'preemptionPolicy'),
  ],
});

function validate(priority: PriorityClass): Cause[] {
  const causes: Cause[] = [];
  const name = priority.metadata?.name ?? '';
  if (name.startsWith('system-')) {
    if (!systemNames.includes(name)) {
      const detail = "priority class names with 'system-' prefix are reserved for system use only. error: ";
      causes.push(forbidden('metadata.name', `${detail}${name} is not a known system priority class`));
    }
  } else if (priority.value > highestUserPriority) {
    causes.push(forbidden('value', `maximum allowed value of a user defined priority is ${highestUserPriority}`));
  }
  if (!preemption.includes(priority.preemptionPolicy ?? '')) {
    causes.push(notSupported('preemptionPolicy', priority.preemptionPolicy, preemption));
  }
  return causes;
}
