/** ConfigMap: up to 1 MiB of named texts and bytes. */
import type { ConfigMap } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { forbidden, invalid, tooLong } from '../field-errors.ts';
import { equalJson } from '../json.ts';
import { configKeyProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';
import { utf8Length } from './metadata.ts';

export const maxDataBytes = 1024 * 1024;

export const configMapKind = defineKind<ConfigMap>({
  ref: resources.configmaps,
  kind: 'ConfigMap',
  shortNames: ['cm'],
  columns: [nameColumn, column('Data', 'Number of entries.'), ageColumn],
  row: (map, nowMs) => [
    nameCell(map),
    String(Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length),
    ageCell(map, nowMs),
  ],
  validate,
  validateUpdate: (map, old) => [...validateStillImmutable(map, old, ['data', 'binaryData']), ...validate(map)],
});

function validate(map: ConfigMap): Cause[] {
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(map.data ?? {})) {
    causes.push(...configKeyProblems(key).map((problem) => invalid(`data[${key}]`, key, problem)));
    if (map.binaryData && key in map.binaryData) {
      causes.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    bytes += utf8Length(value);
  }
  for (const [key, value] of Object.entries(map.binaryData ?? {})) {
    causes.push(...configKeyProblems(key).map((problem) => invalid(`binaryData[${key}]`, key, problem)));
    bytes += base64Length(value);
  }
  // The empty path is Kubernetes' own: the sum belongs to no single field.
  if (bytes > maxDataBytes) causes.push(tooLong('', maxDataBytes));
  return causes;
}

/** Bytes that base64 text stands for. */
export function base64Length(text: string): number {
  const digits = text.replace(/[\r\n=]/g, '').length;
  return Math.floor((digits * 3) / 4);
}

/** Once `immutable` is true, neither it nor any of `fields` changes any more (ConfigMap and Secret alike). */
export function validateStillImmutable<T extends { immutable?: boolean }>(
  object: T,
  old: T,
  fields: (keyof T & string)[],
): Cause[] {
  if (!old.immutable) return [];
  const causes: Cause[] = [];
  if (!object.immutable) causes.push(forbidden('immutable', 'field is immutable when `immutable` is set'));
  for (const field of fields) {
    if (!equalJson(object[field] ?? {}, old[field] ?? {})) {
      causes.push(forbidden(field, 'field is immutable when `immutable` is set'));
    }
  }
  return causes;
}
