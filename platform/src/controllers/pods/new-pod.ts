/** A Pod as a template and its owner want it; the name is the caller's. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { controllerRefTo, type OwnerType } from './controller-ref.ts';
import type { PodObject } from './pod-facts.ts';

/** A private copy; `generateName` is the owner's name with a dash, as kubectl users know it. */
export function newPod(template: PodTemplateSpec | undefined, owner: KubeObject, type: OwnerType): PodObject {
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  const { name = '', namespace } = owner.metadata ?? {};
  return structuredClone({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [controllerRefTo(owner, type)],
    },
    spec: template?.spec,
  }) as PodObject;
}
