/**
 * Which objects belong to a controller, and what has to be written so that it is true: those it owns and selects it keeps, those it
 * owns and no longer selects it lets go, those nobody owns and it selects it takes. Pure decision, and the writes apart.
 */
import type { KubeClient, KubeObject, ResourceRef } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { controllerRefTo, isControlledBy, type OwnerType } from './controller-ref.ts';

export interface Claims<T> {
  owned: T[];
  adopt: T[];
  release: T[];
}

export interface Candidates<T> {
  owner: KubeObject;
  owned: T[];
  orphans: T[];
  selects(object: T): boolean;
}

export function decideClaims<T extends KubeObject>({ owner, owned, orphans, selects }: Candidates<T>): Claims<T> {
  const mine = owned.filter((object) => isControlledBy(object, owner));
  if (owner.metadata?.deletionTimestamp) return { owned: mine.filter(selects), adopt: [], release: [] };
  return {
    owned: mine.filter(selects),
    adopt: orphans.filter((object) => !object.metadata?.deletionTimestamp && selects(object)),
    release: mine.filter((object) => !selects(object)),
  };
}

interface ClaimEffects<T> extends Candidates<T> {
  client: KubeClient;
  ref: ResourceRef;
  ownerRef: ResourceRef;
  type: OwnerType;
  /** Put on what is taken, and off what is let go. */
  finalizer?: string;
}

const strategic = 'application/strategic-merge-patch+json';

/** Returns what the owner has after adopting and letting go. An owner that is gone in truth adopts nothing. */
export async function claim<T extends KubeObject>(options: ClaimEffects<T>): Promise<T[]> {
  const { client, ref, owner } = options;
  const claims = decideClaims(options);
  const { finalizer } = options;
  const write = async (object: T, references: object[], more: object = {}): Promise<T | undefined> => {
    const { name = '', namespace, uid } = object.metadata ?? {};
    try {
      const patch = { metadata: { uid, ownerReferences: references, ...more } };
      return await client.patch<T>(ref, name, patch, { namespace, type: strategic });
    } catch (error) {
      // Gone, replaced by a namesake, or taken by another controller meanwhile: not ours.
      if (isReason(error, 'NotFound', 'Conflict', 'Invalid')) return undefined;
      throw error;
    }
  };
  const release = [{ $patch: 'delete', uid: owner.metadata?.uid }];
  const off = finalizer ? { '$deleteFromPrimitiveList/finalizers': [finalizer] } : {};
  await Promise.all(claims.release.map((object) => write(object, release, off)));
  if (claims.adopt.length === 0 || !(await isStillThere(options))) return claims.owned;
  const adoption = [controllerRefTo(owner, options.type)];
  const on = finalizer ? { finalizers: [finalizer] } : {};
  const adopted = await Promise.all(claims.adopt.map((object) => write(object, adoption, on)));
  return [...claims.owned, ...adopted.filter((object) => object !== undefined)];
}

async function isStillThere<T>({ client, owner, ownerRef }: ClaimEffects<T>): Promise<boolean> {
  const { name = '', namespace, uid } = owner.metadata ?? {};
  const current = await client.get(ownerRef, name, namespace).catch((error: unknown) => {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  });
  return current?.metadata?.uid === uid && !current?.metadata?.deletionTimestamp;
}
