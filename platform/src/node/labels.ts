/** Names that the node writes on sandboxes and containers, kubelet's own: by them everything is found again after a restart. */
import type { Pod } from 'kubernetes-types/core/v1.js';

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
  /** JSON list of the Pod's images that are on the node when the sandbox is made. */
  images: 'sampan.dev/images',
  /** Bytes of disk for all of the Pod's containers together. */
  ephemeralStorage: 'sampan.dev/ephemeral-storage',
  /** "true": containers will mount directories of the host, so the machine is made for it. */
  hostMounts: 'sampan.dev/host-mounts',
  /** "true": the resolver of the network comes before the servers of the DNSConfig. */
  clusterFirst: 'sampan.dev/cluster-first',
  /** Before a volume's name: what an emptyDir is made of. */
  volume: 'sampan.dev/volume.',
  /** Of the runtime: the machine stands still since there is no room in this directory of the node. */
  waitsForRoom: 'sampan.dev/waits-for-room',
  /** Before a volume's name, in statistics: bytes an emptyDir holds. */
  volumeUsed: 'sampan.dev/volume-used.',
} as const;

export const podLabels = (pod: Pod): Record<string, string> => ({
  [label.podName]: pod.metadata?.name ?? '',
  [label.podNamespace]: pod.metadata?.namespace ?? '',
  [label.podUid]: pod.metadata?.uid ?? '',
});

/** `name_namespace(uid)`: how kubelet writes a Pod in its messages. */
export const formatPod = (pod: Pod): string => `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
