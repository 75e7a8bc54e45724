/**
 * What of ours is added to CRI: annotations of sandboxes by which the runtime is told, or tells, what CRI has no field for. Our node sets all of them; any
 * kubelet passes on those that a Pod bears.
 */
export const runtimeAnnotation = {
  /** Before a volume's name: JSON {"medium": "Memory"|"", "sizeLimitBytes": n} of an emptyDir. */
  volume: 'sampan.dev/volume.',
  /**
   * JSON list of references or ids of images on the node that the Pod will use: their disks are in the machine from the start. A hint: what is not there is
   * left out.
   */
  images: 'sampan.dev/images',
  /** Bytes, decimal: size of the Pod's writable disk (the sum of its ephemeral-storage limits; 10 GiB, sparse, where it says nothing). */
  ephemeralStorage: 'sampan.dev/ephemeral-storage',
  /** "true": containers will mount directories of the host, so the machine is made for it (sandbox/vm/sandbox-shares.ts). */
  hostMounts: 'sampan.dev/host-mounts',
  /** bridge, none or macvlan: how the Pod's network comes about. */
  networkMode: 'sampan.dev/network-mode',
  /** "true": the resolver of the network comes before the servers of the DNSConfig. */
  clusterFirst: 'sampan.dev/cluster-first',
  /**
   * In PodSandboxStatus: the Pod's machine stands still since its disk, a file in this directory of the host, finds no room; it goes on by itself once there
   * is some.
   */
  waitsForRoom: 'sampan.dev/waits-for-room',
  /** Before a volume's name, in PodSandboxStats' attributes: bytes, decimal, that an emptyDir holds. */
  volumeUsed: 'sampan.dev/volume-used.',
} as const;
