/** Files of a downwardAPI volume, or of a downwardAPI source within a projected one. */
import type { DownwardAPIVolumeFile } from 'kubernetes-types/core/v1.js';
import { containerNamed, fieldValue, resourceValue } from '../downward-field.ts';
import type { PodFacts } from '../sources.ts';
import { checkedPath, type Payload } from './payload.ts';

export function renderDownwardApi(facts: PodFacts, items: DownwardAPIVolumeFile[], mode: number): Payload {
  const payload: Payload = new Map();
  for (const item of items) {
    const text = item.fieldRef
      ? fieldValue(facts, item.fieldRef.fieldPath)
      : resourceValue(facts, item.resourceFieldRef!, containerNamed(facts, item.resourceFieldRef?.containerName));
    payload.set(checkedPath(item.path), { data: Buffer.from(text), mode: item.mode ?? mode });
  }
  return payload;
}
