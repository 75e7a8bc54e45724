/** Single files of volumes: a key of a ConfigMap or Secret, or one of the Pod's own fields. */
import type { DownwardAPIVolumeFile, KeyToPath } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { invalid, required } from '../../../field-errors.ts';
import { checkFileMode, checkVolumeFilePath } from './paths.ts';
import { checkFieldRef, checkResourceFieldRef, fileFieldPaths } from './references.ts';

export function validateKeyToPath({ key, path, mode }: KeyToPath, field: string): Cause[] {
  const causes: Cause[] = [];
  if (!key) causes.push(required(`${field}.key`));
  if (!path) causes.push(required(`${field}.path`));
  return [...causes, ...checkVolumeFilePath(path ?? '', `${field}.path`), ...checkFileMode(mode, `${field}.mode`)];
}

/** `field` is the volume's source: Kubernetes does not say which of its items is meant. */
export function validateDownwardFile(file: DownwardAPIVolumeFile, field: string): Cause[] {
  const causes: Cause[] = file.path ? [] : [required(`${field}.path`)];
  causes.push(...checkVolumeFilePath(file.path ?? '', `${field}.path`));
  if (file.fieldRef) {
    causes.push(...checkFieldRef(file.fieldRef, `${field}.fieldRef`, fileFieldPaths));
    if (file.resourceFieldRef) {
      causes.push(invalid(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    }
  } else if (file.resourceFieldRef) {
    causes.push(...checkResourceFieldRef(file.resourceFieldRef, `${field}.resourceFieldRef`, true));
  } else causes.push(required(field, 'one of fieldRef and resourceFieldRef is required'));
  return [...causes, ...checkFileMode(file.mode, `${field}.mode`)];
}
