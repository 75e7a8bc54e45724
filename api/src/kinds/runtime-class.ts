/** RuntimeClass: which sandbox a Pod gets, and what that sandbox costs beside its containers. */
import type { RuntimeClass } from 'kubernetes-types/node/v1.js';
import type { ResourceRef } from '../client.ts';
import { invalid } from '../field-errors.ts';
import { dnsLabelProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';
import { validateImmutable } from './metadata.ts';

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
  validate: (runtimeClass) =>
    dnsLabelProblems(runtimeClass.handler ?? '').map((problem) =>
      invalid('handler', runtimeClass.handler ?? '', problem),
    ),
  validateUpdate: (runtimeClass, old) => validateImmutable(runtimeClass.handler, old.handler, 'handler'),
});
