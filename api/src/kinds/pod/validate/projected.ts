/** Projected volumes: several sources under one directory, no two files of one path. */
import type {
  ProjectedVolumeSource,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden, invalid, required } from '../../../field-errors.ts';
import { validateDownwardFile, validateKeyToPath } from './files.ts';
import { checkFileMode, checkVolumeFilePath } from './paths.ts';

export function validateProjected(projected: ProjectedVolumeSource, field: string): Cause[] {
  const causes = checkFileMode(projected.defaultMode, `${field}.defaultMode`);
  const taken = new Set<string>();
  for (const [i, source] of (projected.sources ?? []).entries()) {
    causes.push(...validateProjection(source, `${field}.sources[${i}]`));
    for (const path of pathsOf(source)) {
      if (taken.has(path)) causes.push(invalid(field, path, 'conflicting duplicate paths'));
      taken.add(path);
    }
  }
  return causes;
}

function validateProjection(source: VolumeProjection, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const kind of ['secret', 'configMap'] as const) {
    const projection = source[kind];
    if (!projection) continue;
    const at = `${field}.${kind}`;
    if (!projection.name) causes.push(required(`${at}.name`));
    for (const [i, item] of (projection.items ?? []).entries()) {
      causes.push(...validateKeyToPath(item, `${at}.items[${i}]`));
    }
  }
  for (const file of source.downwardAPI?.items ?? [])
    causes.push(...validateDownwardFile(file, `${field}.downwardAPI`));
  if (source.serviceAccountToken) {
    causes.push(...validateToken(source.serviceAccountToken, `${field}.serviceAccountToken`));
  }
  if (Object.keys(source).length > 1) {
    causes.push(forbidden(field, 'may not specify more than 1 volume type per source'));
  }
  return causes;
}

const minTokenSeconds = 600;
const maxTokenSeconds = 2 ** 32;

function validateToken({ expirationSeconds = 3600, path }: ServiceAccountTokenProjection, field: string): Cause[] {
  const causes: Cause[] = [];
  if (expirationSeconds < minTokenSeconds) {
    const detail = 'may not specify a duration less than 10 minutes';
    causes.push(invalid(`${field}.expirationSeconds`, expirationSeconds, detail));
  }
  if (expirationSeconds > maxTokenSeconds) {
    const detail = 'may not specify a duration larger than 2^32 seconds';
    causes.push(invalid(`${field}.expirationSeconds`, expirationSeconds, detail));
  }
  if (!path) return [...causes, required(`${field}.path`)];
  return [...causes, ...checkVolumeFilePath(path, `${field}.path`)];
}

function pathsOf(source: VolumeProjection): string[] {
  const items = [
    ...(source.secret?.items ?? []),
    ...(source.configMap?.items ?? []),
    ...(source.downwardAPI?.items ?? []),
  ];
  return items.map((item) => item.path).filter(Boolean);
}
