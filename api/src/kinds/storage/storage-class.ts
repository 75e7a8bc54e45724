/** StorageClass: how volumes of a sort are made. Its provisioner is whoever watches for claims of the class. */
import type { StorageClass } from 'kubernetes-types/storage/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, invalidFor, required, tooLong } from '../../field-errors.ts';
import { qualifiedNameProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { utf8Length, validateImmutable } from '../metadata.ts';

const defaultAnnotation = 'storageclass.kubernetes.io/is-default-class';
const betaAnnotation = 'storageclass.beta.kubernetes.io/is-default-class';
const maxParameters = 512;
const maxParameterBytes = 256 * 1024;

export const storageClassKind = defineKind<StorageClass>({
  ref: resources.storageclasses,
  kind: 'StorageClass',
  showsDeleted: true,
  shortNames: ['sc'],
  columns: [
    nameColumn,
    column('Provisioner', 'Who makes its volumes.'),
    column('ReclaimPolicy', 'What becomes of a volume whose claim goes.'),
    column('VolumeBindingMode', 'When a volume is made for a claim.'),
    column('AllowVolumeExpansion', 'Whether its volumes may grow.'),
    ageColumn,
  ],
  row: (one, nowMs) => [
    isDefaultClass(one) ? `${nameCell(one)} (default)` : nameCell(one),
    one.provisioner ?? '',
    one.reclaimPolicy ?? 'Delete',
    one.volumeBindingMode ?? 'Immediate',
    String(one.allowVolumeExpansion ?? false),
    ageCell(one, nowMs),
  ],
  defaults(one) {
    one.reclaimPolicy ||= 'Delete';
    one.volumeBindingMode ||= 'Immediate';
  },
  validate: validateClass,
  validateUpdate: (one, old) => [
    ...validateClass(one),
    ...frozen(one.parameters, old.parameters, 'parameters'),
    ...frozen(one.provisioner, old.provisioner, 'provisioner'),
    ...frozen(one.reclaimPolicy, old.reclaimPolicy, 'reclaimPolicy'),
    ...validateImmutable(one.volumeBindingMode, old.volumeBindingMode, 'volumeBindingMode'),
  ],
});

/** Claims that name no class get such a one. */
export function isDefaultClass({ metadata }: StorageClass): boolean {
  const annotations = metadata?.annotations ?? {};
  return annotations[defaultAnnotation] === 'true' || annotations[betaAnnotation] === 'true';
}

function frozen(now: unknown, old: unknown, field: string): Cause[] {
  if (validateImmutable(now, old, field).length === 0) return [];
  return [forbidden(field, `updates to ${field} are forbidden.`)];
}

function validateClass({ provisioner, parameters = {}, reclaimPolicy, volumeBindingMode }: StorageClass): Cause[] {
  const causes: Cause[] = provisioner
    ? invalidFor('provisioner', provisioner, qualifiedNameProblems(provisioner.toLowerCase()))
    : [required('provisioner', provisioner)];
  const entries = Object.entries(parameters);
  if (entries.length > maxParameters) causes.push(tooLong('parameters', maxParameters));
  if (entries.some(([key]) => key === '')) causes.push(required('parameters', 'field can not be empty.'));
  const bytes = entries.reduce((sum, [key, value]) => sum + utf8Length(key) + utf8Length(value), 0);
  if (bytes > maxParameterBytes) causes.push(tooLong('parameters', maxParameterBytes));
  causes.push(...checkEnum('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']));
  causes.push(...checkEnum('volumeBindingMode', volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']));
  return causes;
}
