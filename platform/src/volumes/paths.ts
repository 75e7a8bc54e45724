/** Where a volume lies on the node: kubelet's layout, by which the runtime knows what kind of volume a mount is of. */
import { join } from 'node:path';
import type { Volume } from 'kubernetes-types/core/v1.js';

/** Kinds of volume that this node has, and their directory names. */
const plugins = {
  configMap: 'configmap',
  secret: 'secret',
  projected: 'projected',
  downwardAPI: 'downward-api',
  emptyDir: 'empty-dir',
  // Stands elsewhere: where the Pod says.
  hostPath: 'host-path',
} as const;

export type VolumeKind = keyof typeof plugins;

/** Undefined for a kind this node does not have. */
export function kindOf(volume: Volume): VolumeKind | undefined {
  const kinds = Object.keys(plugins) as VolumeKind[];
  const named = Object.keys(volume).filter((key) => key !== 'name' && volume[key as keyof Volume] !== undefined);
  // A volume that names no source is an emptyDir.
  return named.length === 0 ? 'emptyDir' : kinds.find((kind) => volume[kind] !== undefined);
}

export function volumePath(podDirectory: string, kind: VolumeKind, name: string): string {
  if (kind === 'hostPath') throw new Error("a hostPath volume is not in the Pod's directory");
  return join(podDirectory, 'volumes', `kubernetes.io~${plugins[kind]}`, name);
}
