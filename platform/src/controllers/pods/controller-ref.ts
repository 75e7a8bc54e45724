/** Owner references: who controls what (KEP-less; design-proposals/controller-ref). */
import type { KubeObject } from '@sampan/api/client.ts';

export type OwnerReference = NonNullable<NonNullable<KubeObject['metadata']>['ownerReferences']>[number];

export interface OwnerType {
  apiVersion: string;
  kind: string;
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((owner) => owner.controller);
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata?.uid;
}

/** The reference that makes `owner` the controller, and holds its foreground deletion until the object is gone. */
export function controllerRefTo(owner: KubeObject, { apiVersion, kind }: OwnerType): OwnerReference {
  const { name = '', uid = '' } = owner.metadata ?? {};
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
