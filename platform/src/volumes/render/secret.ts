/** Files of a secret volume, or of a secret within a projected one. */
import { SampanError } from '@sampan/api/errors.ts';
import type { ObjectSource } from '../sources.ts';
import type { KeyedSource } from './config-map.ts';
import { keyedFiles, type Payload } from './payload.ts';

/** Throws NotFound with kubelet's words when what it references is missing and not optional. */
export async function renderSecret(objects: ObjectSource, namespace: string, source: KeyedSource): Promise<Payload> {
  const secret = await objects.secret(namespace, source.name ?? '');
  if (!secret && !source.optional) throw new SampanError('NotFound', `secret "${source.name}" not found`);
  const values = Object.entries(secret?.data ?? {}).map(([key, base64]): [string, Uint8Array] => [
    key,
    Buffer.from(base64, 'base64'),
  ]);
  return keyedFiles(new Map(values), { ...source, what: 'secret' });
}
