/**
 * The RuntimeClasses of this platform's handlers: `vm` and, where the host can, `namespace`. Made once; whoever changes or removes one has the say,
 * until a start without it makes it anew. Their overhead is what a Pod of the class costs beside its containers, as measured (docs/SPECIFICATION.md).
 */
import type { KubeClient } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { runtimeClasses } from '@sampan/api/kinds/runtime-class.ts';
import type { RuntimeClass } from 'kubernetes-types/node/v1.js';
import { guestOverheadMib, namespaceOverheadMib, vmmOverheadMib } from '../runtime/sandbox/vm/machine-shape.ts';

const overheadMib: Record<string, number> = {
  vm: guestOverheadMib + vmmOverheadMib,
  namespace: namespaceOverheadMib,
};

/** Pure. Handlers without a name of their own (the default one) have no class. */
export function runtimeClassesOf(handlers: readonly string[]): RuntimeClass[] {
  return handlers
    .filter((handler) => overheadMib[handler] !== undefined)
    .map((handler) => ({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: handler },
      handler,
      overhead: { podFixed: { memory: `${overheadMib[handler]}Mi` } },
    }));
}

/** Idempotent. */
export async function publishRuntimeClasses(client: KubeClient, handlers: readonly string[]): Promise<void> {
  for (const runtimeClass of runtimeClassesOf(handlers))
    try {
      await client.create(runtimeClasses, runtimeClass as RuntimeClass & { metadata: object });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
}
