/** RuntimeClass: which sandbox a Pod gets, and what that sandbox costs beside its containers. */
import type { RuntimeClass } from 'kubernetes-types/node/v1.js';
import type { ResourceRef } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalidFor } from '../field-errors.ts';
import { dnsLabelProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';
import { validateImmutable, validateLabels } from './metadata.ts';
import { validateResources } from './pod/validate/container-resources.ts';
import { validateTolerations } from './pod/validate/scheduling.ts';

export const runtimeClasses = {
  group: 'node.k8s.io',
  version: 'v1',
  resource: 'runtimeclasses',
  namespaced: false,
} as const satisfies ResourceRef;

export const runtimeClassKind = defineKind<RuntimeClass>({
  ref: runtimeClasses,
  kind: 'RuntimeClass',
  columns: [nameColumn, column('Handler', 'Name of the sandbox.'), ageColumn],
  row: (runtimeClass, nowMs) => [nameCell(runtimeClass), runtimeClass.handler, ageCell(runtimeClass, nowMs)],
  validate,
  validateUpdate: (runtimeClass, old) => validateImmutable(runtimeClass.handler, old.handler, 'handler'),
});

function validate({ handler = '', overhead, scheduling }: RuntimeClass): Cause[] {
  return [
    ...invalidFor('handler', handler, dnsLabelProblems(handler)),
    // Kubernetes names the field so: it looks at them as at a container's limits.
    ...validateResources({ limits: overhead?.podFixed }, 'overhead'),
    ...validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
    ...validateTolerations(scheduling?.tolerations, 'scheduling.tolerations'),
  ];
}
