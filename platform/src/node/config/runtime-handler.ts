/** What a Pod's runtimeClassName means to the runtime. */
import type { KubeClient, ResourceRef } from '@sampan/api/client.ts';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { RuntimeClass } from 'kubernetes-types/node/v1.js';

const runtimeClasses: ResourceRef = {
  group: 'node.k8s.io',
  version: 'v1',
  resource: 'runtimeclasses',
  namespaced: false,
};

/** Throws NotFound with kubelet's words when there is no such class. */
export async function runtimeHandler(client: KubeClient, pod: Pod): Promise<string> {
  const name = pod.spec?.runtimeClassName;
  if (!name) return '';
  try {
    return (await client.get<RuntimeClass>(runtimeClasses, name)).handler;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    throw new SampanError('NotFound', `failed to get sandbox runtime: no runtime for "${name}" is configured`);
  }
}
