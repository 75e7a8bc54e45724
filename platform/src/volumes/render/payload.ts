/** The files a volume is to show, while they are gathered. */
import { SampanError } from '@sampan/api/errors.ts';

export interface PayloadFile {
  data: Uint8Array;
  mode: number;
  uid?: number;
}

export type Payload = Map<string, PayloadFile>;

export interface KeyToPath {
  key: string;
  path: string;
  mode?: number;
}

/**
 * Chosen keys under chosen names, or all keys under their own. `what` is "ConfigMap" or "Secret", for kubelet's sentence
 * "references non-existent config key".
 */
export function keyedFiles(
  values: ReadonlyMap<string, Uint8Array>,
  options: { items?: KeyToPath[]; mode: number; optional?: boolean; what: 'config' | 'secret' },
): Payload {
  const { items, mode, optional, what } = options;
  if (!items || items.length === 0) return new Map([...values].map(([key, data]) => [key, { data, mode }]));
  const payload: Payload = new Map();
  for (const item of items) {
    const data = values.get(item.key);
    if (data) payload.set(checkedPath(item.path), { data, mode: item.mode ?? mode });
    else if (!optional) throw new SampanError('NotFound', `references non-existent ${what} key: ${item.key}`);
  }
  return payload;
}

/** Validation has refused it before; a volume never writes outside itself all the same. */
export function checkedPath(path: string): string {
  const parts = path.split('/');
  if (path.startsWith('/') || parts.includes('..') || parts.includes('') || parts[0]!.startsWith('..'))
    throw new SampanError('Invalid', `invalid path: ${path}`);
  return path;
}
