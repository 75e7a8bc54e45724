/** Files of a configMap volume, or of a configMap within a projected one. */
import { SampanError } from '@sampan/api/errors.ts';
import type { ConfigMap } from 'kubernetes-types/core/v1.js';
import type { ObjectSource } from '../sources.ts';
import { type KeyToPath, keyedFiles, type Payload } from './payload.ts';

export interface KeyedSource {
  name?: string;
  items?: KeyToPath[];
  optional?: boolean;
  mode: number;
}

/** Throws NotFound with kubelet's words when what it references is missing and not optional. */
export async function renderConfigMap(objects: ObjectSource, namespace: string, source: KeyedSource): Promise<Payload> {
  const map = await objects.configMap(namespace, source.name ?? '');
  if (!map && !source.optional) throw new SampanError('NotFound', `configmap "${source.name}" not found`);
  return keyedFiles(valuesOf(map), { ...source, what: 'config' });
}

function valuesOf(map: ConfigMap | undefined): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(map?.data ?? {})) values.set(key, Buffer.from(text));
  for (const [key, base64] of Object.entries(map?.binaryData ?? {})) values.set(key, Buffer.from(base64, 'base64'));
  return values;
}
