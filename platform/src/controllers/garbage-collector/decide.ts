/**
 * What becomes of an object because of its owners, or of owners because of their dependents. Pure.
 *
 *   owner is gone, no other holds the object        delete it
 *   some owners gone or going, others stay          take the references to the former away
 *   owner is going and waits for its dependents     delete the object; the owner waits for those that block it
 */
import type { DeleteOptions, KubeObject } from '@sampan/api/client.ts';
import type { OwnerReference } from '../pods/controller-ref.ts';

export const orphanFinalizer = 'orphan';
export const foregroundFinalizer = 'foregroundDeletion';

/** `solid`: there, or not known not to be. `waiting`: being deleted in the foreground. `absent`: gone for certain. */
export type OwnerState = 'solid' | 'waiting' | 'absent';

export type Verdict =
  | { do: 'nothing' }
  | { do: 'drop-references'; keep: OwnerReference[] }
  | { do: 'unblock'; references: OwnerReference[] }
  | { do: 'delete'; policy: NonNullable<DeleteOptions['propagationPolicy']> };

export interface Case {
  object: KubeObject;
  /** State of each of the object's owner references, in their order. */
  owners: OwnerState[];
  /** Asked for only where they matter. */
  dependents(): KubeObject[];
}

export function judge({ object, owners, dependents }: Case): Verdict {
  const references = object.metadata?.ownerReferences ?? [];
  if (references.length === 0 || object.metadata?.deletionTimestamp) return { do: 'nothing' };
  const keep = references.filter((_, i) => owners[i] === 'solid');
  if (keep.length === references.length) return { do: 'nothing' };
  if (keep.length > 0) return { do: 'drop-references', keep };
  const own = owners.includes('waiting') ? dependents() : [];
  if (own.length > 0) {
    // An owner that waits for us and a dependent of ours that is waited for: a circle nobody would ever leave.
    const isCircle = own.some(isWaiting) && references.some(({ blockOwnerDeletion }) => blockOwnerDeletion);
    if (isCircle) {
      return { do: 'unblock', references: references.map((one) => ({ ...one, blockOwnerDeletion: false })) };
    }
    return { do: 'delete', policy: 'Foreground' };
  }
  const finalizers = object.metadata?.finalizers ?? [];
  if (finalizers.includes(orphanFinalizer)) return { do: 'delete', policy: 'Orphan' };
  return { do: 'delete', policy: finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background' };
}

/** Being deleted in the foreground: it goes when its dependents are gone. */
export function isWaiting({ metadata }: KubeObject): boolean {
  return Boolean(metadata?.deletionTimestamp && metadata.finalizers?.includes(foregroundFinalizer));
}

/** Being deleted, and its dependents are to stay. */
export function isOrphaning({ metadata }: KubeObject): boolean {
  return Boolean(metadata?.deletionTimestamp && metadata.finalizers?.includes(orphanFinalizer));
}

/** Those for which an owner in the foreground waits. */
export function blocking(owner: KubeObject, dependents: KubeObject[]): KubeObject[] {
  return dependents.filter((dependent) =>
    dependent.metadata?.ownerReferences?.some((one) => one.uid === owner.metadata?.uid && one.blockOwnerDeletion),
  );
}
