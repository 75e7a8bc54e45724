/** Names that the node writes on sandboxes and containers, kubelet's own: by them everything is found again after a restart. */
import type { Pod } from 'kubernetes-types/core/v1.js';
import { runtimeAnnotation } from '../runtime/annotations.ts';

export const label = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;

export const annotation = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  terminationMessagePath: 'io.kubernetes.container.terminationMessagePath',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  grace: 'io.kubernetes.pod.terminationGracePeriod',
  /** `<delay ms>@<ms since the epoch>`: the restart back-off this run was started under. */
  backOff: 'sampan.dev/restart-back-off',
  ...runtimeAnnotation,
} as const;

export const podLabels = (pod: Pod): Record<string, string> => ({
  [label.podName]: pod.metadata?.name ?? '',
  [label.podNamespace]: pod.metadata?.namespace ?? '',
  [label.podUid]: pod.metadata?.uid ?? '',
});

/** `name_namespace(uid)`: how kubelet writes a Pod in its messages. */
export const formatPod = (pod: Pod): string => `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
