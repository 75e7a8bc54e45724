/** PersistentVolume: a piece of storage that outlives Pods. Stored and validated; no node of this build mounts one yet. */
import type { PersistentVolume, PersistentVolumeSpec } from 'kubernetes-types/core/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, invalid, invalidFor, notSupported, required } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import { dnsSubdomainProblems } from '../../names.ts';
import { tryParseQuantity } from '../../quantity.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus } from '../define.ts';
import { validateImmutable } from '../metadata.ts';
import { accessModesCell, validateAccessModes } from './access-modes.ts';

/** Fields of the spec that are not a source; exactly one of the others says where the storage is. */
const plainFields = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);
const reclaimPolicies = ['Delete', 'Recycle', 'Retain'];
export const volumeModes = ['Block', 'Filesystem'];

export const persistentVolumeKind = defineKind<PersistentVolume>({
  ref: resources.persistentvolumes,
  kind: 'PersistentVolume',
  showsDeleted: true,
  shortNames: ['pv'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Capacity', 'How much it holds.'),
    column('Access Modes', 'How it may be mounted.'),
    column('Reclaim Policy', 'What becomes of it when its claim goes.'),
    column('Status', 'Whether it is bound.'),
    column('Claim', 'Who has it.'),
    column('StorageClass', 'Class it belongs to.'),
    column('VolumeAttributesClass', 'Class of its attributes.'),
    column('Reason', 'Why it failed.'),
    ageColumn,
    column('VolumeMode', 'File system or raw block device.', { wide: true }),
  ],
  row: (volume, nowMs) => [
    nameCell(volume),
    String(volume.spec?.capacity?.storage ?? ''),
    accessModesCell(volume.spec?.accessModes),
    volume.spec?.persistentVolumeReclaimPolicy ?? '',
    volume.metadata?.deletionTimestamp ? 'Terminating' : (volume.status?.phase ?? ''),
    volume.spec?.claimRef ? `${volume.spec.claimRef.namespace ?? ''}/${volume.spec.claimRef.name ?? ''}` : '',
    volume.spec?.storageClassName ?? '',
    (volume.spec as { volumeAttributesClassName?: string } | undefined)?.volumeAttributesClassName ?? '<unset>',
    volume.status?.reason ?? '',
    ageCell(volume, nowMs),
    volume.spec?.volumeMode ?? '<unset>',
  ],
  defaults(volume) {
    volume.spec ??= {};
    volume.spec.persistentVolumeReclaimPolicy ||= 'Retain';
    volume.spec.volumeMode ||= 'Filesystem';
    if (volume.spec.hostPath) volume.spec.hostPath.type ??= '';
  },
  prepareCreate(volume) {
    Object.assign(volume, { status: { phase: 'Pending' } });
  },
  prepareUpdate: splitSpecAndStatus,
  validate: ({ spec = {} }) => validateSpec(spec),
  validateUpdate(volume, old) {
    const [spec, before] = [volume.spec ?? {}, old.spec ?? {}];
    const causes = validateSpec(spec);
    if (!equalJson(sourceOf(spec), sourceOf(before))) {
      causes.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
    }
    return [...causes, ...validateImmutable(spec.volumeMode, before.volumeMode, 'volumeMode')];
  },
});

function sourceOf(spec: PersistentVolumeSpec): Record<string, unknown> {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !plainFields.has(field)));
}

function validateSpec(spec: PersistentVolumeSpec): Cause[] {
  const causes = validateAccessModes(spec.accessModes, 'spec.accessModes');
  const capacity = spec.capacity ?? {};
  const names = Object.keys(capacity);
  if (names.length === 0) causes.push(required('spec.capacity'));
  else if (names.length !== 1 || names[0] !== 'storage') {
    causes.push(notSupported('spec.capacity', names, ['storage']));
  } else causes.push(...validatePositive(capacity.storage, 'spec.capacity[storage]'));
  const policy = spec.persistentVolumeReclaimPolicy;
  causes.push(...checkEnum('spec.persistentVolumeReclaimPolicy', policy, reclaimPolicies));
  causes.push(...checkEnum('spec.volumeMode', spec.volumeMode, volumeModes));
  const { storageClassName: name } = spec;
  if (name) causes.push(...invalidFor('spec.storageClassName', name, dnsSubdomainProblems(name)));
  return [...causes, ...validateSource(spec)];
}

function validateSource(spec: PersistentVolumeSpec): Cause[] {
  const [first, ...others] = Object.keys(sourceOf(spec));
  if (!first) return [required('spec', 'must specify a volume type')];
  const causes = others.map((field) => forbidden(`spec.${field}`, 'may not specify more than 1 volume type'));
  if (first === 'local' && !spec.nodeAffinity) {
    causes.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (first === 'hostPath' && !spec.hostPath?.path) causes.push(required('spec.hostPath.path'));
  if (first === 'nfs' && !spec.nfs?.server) causes.push(required('spec.nfs.server'));
  if (first === 'nfs' && !spec.nfs?.path?.startsWith('/')) {
    causes.push(invalid('spec.nfs.path', spec.nfs?.path ?? '', 'must be an absolute path'));
  }
  if (first === 'csi' && !spec.csi?.driver) causes.push(required('spec.csi.driver'));
  if (first === 'csi' && !spec.csi?.volumeHandle) causes.push(required('spec.csi.volumeHandle'));
  return causes;
}

/** A quantity above nothing. */
export function validatePositive(amount: unknown, field: string): Cause[] {
  const parsed = tryParseQuantity(amount);
  return parsed && parsed.milliValue() > 0 ? [] : [invalid(field, amount ?? '', 'must be greater than zero')];
}
