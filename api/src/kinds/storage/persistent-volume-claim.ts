/** PersistentVolumeClaim: somebody's wish for storage. Stored and validated; it stays Pending while nothing provides volumes. */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from 'kubernetes-types/core/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, invalidFor, required } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import { dnsSubdomainProblems } from '../../names.ts';
import { tryParseQuantity } from '../../quantity.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus } from '../define.ts';
import { validateLabelSelector } from '../label-selector-validation.ts';
import { accessModesCell, validateAccessModes } from './access-modes.ts';
import { validatePositive, volumeModes } from './persistent-volume.ts';

export const persistentVolumeClaimKind = defineKind<PersistentVolumeClaim>({
  ref: resources.persistentvolumeclaims,
  kind: 'PersistentVolumeClaim',
  showsDeleted: true,
  shortNames: ['pvc'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Status', 'Whether it has a volume.'),
    column('Volume', 'The volume it has.'),
    column('Capacity', 'How much the volume holds.'),
    column('Access Modes', 'How the volume may be mounted.'),
    column('StorageClass', 'Class of volume it wants.'),
    column('VolumeAttributesClass', 'Class of the attributes it wants.'),
    ageColumn,
    column('VolumeMode', 'File system or raw block device.', { wide: true }),
  ],
  row(claim, nowMs) {
    const bound = Boolean(claim.spec?.volumeName);
    return [
      nameCell(claim),
      claim.metadata?.deletionTimestamp ? 'Terminating' : (claim.status?.phase ?? ''),
      claim.spec?.volumeName ?? '',
      bound ? String(claim.status?.capacity?.storage ?? '') : '',
      bound ? accessModesCell(claim.status?.accessModes) : '',
      claim.spec?.storageClassName ?? '',
      (claim.spec as { volumeAttributesClassName?: string } | undefined)?.volumeAttributesClassName ?? '<unset>',
      ageCell(claim, nowMs),
      claim.spec?.volumeMode ?? '<unset>',
    ];
  },
  defaults(claim) {
    claim.spec ??= {};
    claim.spec.volumeMode ||= 'Filesystem';
    Object.assign(claim, { status: { ...claim.status, phase: claim.status?.phase || 'Pending' } });
  },
  prepareCreate(claim) {
    Object.assign(claim, { status: { phase: 'Pending' } });
  },
  prepareUpdate: splitSpecAndStatus,
  validate: ({ spec = {} }) => validateSpec(spec),
  validateUpdate: (claim, old) => [...validateSpec(claim.spec ?? {}), ...validateChange(claim, old)],
});

function validateSpec(spec: PersistentVolumeClaimSpec): Cause[] {
  const causes = validateAccessModes(spec.accessModes, 'spec.accessModes');
  if (spec.selector) causes.push(...validateLabelSelector(spec.selector, 'spec.selector'));
  const storage = spec.resources?.requests?.storage;
  if (storage === undefined) causes.push(required('spec.resources[storage]'));
  else causes.push(...validatePositive(storage, 'spec.resources[storage]'));
  const { storageClassName: name } = spec;
  if (name) causes.push(...invalidFor('spec.storageClassName', name, dnsSubdomainProblems(name)));
  return [...causes, ...checkEnum('spec.volumeMode', spec.volumeMode, volumeModes)];
}

/** A claim may be given its volume and class once, and a bound one may ask for more. */
function validateChange(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): Cause[] {
  const [spec, before] = [claim.spec ?? {}, old.spec ?? {}];
  const comparable: PersistentVolumeClaimSpec = { ...spec };
  if (!before.volumeName) delete comparable.volumeName;
  // Whoever got no class because there was no default one may get it later (KEP-3333).
  if (before.storageClassName === undefined) delete comparable.storageClassName;
  if (before.volumeName) comparable.resources = before.resources;
  const causes: Cause[] = [];
  if (!equalJson(comparable, before)) {
    const detail =
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
    causes.push(forbidden('spec', detail));
  }
  const [wanted, had] = [spec, before].map((one) => tryParseQuantity(one.resources?.requests?.storage)?.value() ?? 0);
  if (wanted! < had!) {
    causes.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  }
  return causes;
}
