/** What has to be sent to make the API's copy of a status say what ours says: a strategic merge patch. */
import { isDeepStrictEqual } from 'node:util';
import type { PodCondition, PodStatus } from 'kubernetes-types/core/v1.js';

/** Fields of the status that the node answers for; a field it no longer says is taken away. */
const ours = [
  'phase',
  'reason',
  'message',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'qosClass',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
] as const satisfies (keyof PodStatus)[];

/** Lists that a strategic merge patch would join by a key. */
const merged: ReadonlySet<string> = new Set(['podIPs', 'hostIPs']);

/** Undefined when nothing has to be sent. */
export function diffStatus(from: PodStatus, to: PodStatus): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  for (const field of ours) {
    const [before, after] = [from[field], to[field]];
    if (isDeepStrictEqual(before, after)) continue;
    if (after === undefined) patch[field] = null;
    else if (merged.has(field) && before) patch[field] = [...(after as object[]), { $patch: 'replace' }];
    else patch[field] = after;
  }
  const conditions = (to.conditions ?? []).filter((condition) => !sameCondition(from.conditions, condition));
  if (conditions.length > 0) patch.conditions = conditions.map((condition) => withNulls(from.conditions, condition));
  return Object.keys(patch).length > 0 ? patch : undefined;
}

function sameCondition(from: PodCondition[] | undefined, to: PodCondition): boolean {
  const before = from?.find((condition) => condition.type === to.type);
  return (
    before !== undefined &&
    (['status', 'reason', 'message'] as const).every((field) => (before[field] ?? '') === (to[field] ?? ''))
  );
}

/** Conditions are joined by type, so a reason that no longer holds has to be taken away by name. */
function withNulls(from: PodCondition[] | undefined, to: PodCondition): object {
  const before = from?.find((condition) => condition.type === to.type);
  const gone = (['reason', 'message'] as const).filter((field) => before?.[field] && !to[field]);
  return { ...to, ...Object.fromEntries(gone.map((field) => [field, null])) };
}
