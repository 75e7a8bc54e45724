/** ControllerRevision: what a StatefulSet or DaemonSet once was, kept so that it can be again. */
import type { ControllerRevision } from 'kubernetes-types/apps/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { required } from '../../field-errors.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { validateImmutable } from '../metadata.ts';
import { nonNegative } from './workload-validation.ts';

export const controllerRevisionKind = defineKind<ControllerRevision>({
  ref: resources.controllerrevisions,
  kind: 'ControllerRevision',
  columns: [
    nameColumn,
    column('Controller', 'Whose history it is part of.'),
    column('Revision', 'The place in that history.', { type: 'integer' }),
    ageColumn,
  ],
  row: (revision, nowMs) => [nameCell(revision), controllerCell(revision), revision.revision, ageCell(revision, nowMs)],
  defaults(revision) {
    revision.revision ??= 0;
  },
  validate,
  validateUpdate: (revision, old) => [...validate(revision), ...validateImmutable(revision.data, old.data, 'data')],
});

function validate({ data, revision }: ControllerRevision): Cause[] {
  return [...(data === undefined ? [required('data', 'data is mandatory')] : []), ...nonNegative({ revision })];
}

function controllerCell({ metadata }: ControllerRevision): string {
  const owner = metadata?.ownerReferences?.find((one) => one.controller);
  if (!owner) return '<none>';
  const [group] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : [''];
  return `${owner.kind.toLowerCase()}${group ? `.${group}` : ''}/${owner.name}`;
}
