/** Whether a Pod uses more disk than it may: kubelet's local storage eviction. */
import { machineSize } from '@sampan/api/pod-size.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';

export interface StorageUse {
  /** Bytes in each container's writable layer, by name. */
  containers: ReadonlyMap<string, number>;
  /** Bytes in each emptyDir, by volume name. */
  volumes: ReadonlyMap<string, number>;
}

/** kubelet's sentence when the Pod has to go, else undefined. */
export function evictionMessage(pod: Pod, use: StorageUse): string | undefined {
  return volumeExcess(pod, use) ?? podExcess(pod, use) ?? containerExcess(pod, use);
}

/** Only such Pods need to be asked what they use. */
export function limitsStorage(pod: Pod): boolean {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return (
    containers.some((container) => container.resources?.limits?.['ephemeral-storage']) ||
    (pod.spec?.volumes ?? []).some((volume) => volume.emptyDir?.sizeLimit)
  );
}

function volumeExcess(pod: Pod, use: StorageUse): string | undefined {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    const limit = tryParseQuantity(emptyDir?.sizeLimit)?.value();
    if (limit && (use.volumes.get(name) ?? 0) > limit)
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `;
  }
  return undefined;
}

/** All containers together, and what is in emptyDirs on disk; only where every container has a limit. */
function podExcess(pod: Pod, use: StorageUse): string | undefined {
  const all = pod.spec?.containers ?? [];
  if (!all.every((container) => container.resources?.limits?.['ephemeral-storage'])) return undefined;
  const limit = machineSize(pod).ephemeralStorageBytes;
  const onDisk = (pod.spec?.volumes ?? []).filter((volume) => volume.emptyDir && volume.emptyDir.medium !== 'Memory');
  const used = sum([...use.containers.values()]) + sum(onDisk.map((volume) => use.volumes.get(volume.name) ?? 0));
  if (limit === 0 || used <= limit) return undefined;
  return `Pod ephemeral local storage usage exceeds the total limit of containers ${limit}. `;
}

function containerExcess(pod: Pod, use: StorageUse): string | undefined {
  for (const { name, resources } of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]) {
    const text = resources?.limits?.['ephemeral-storage'];
    const limit = tryParseQuantity(text)?.value();
    if (limit && (use.containers.get(name) ?? 0) > limit)
      return `Container ${name} exceeded its local ephemeral storage limit "${text}". `;
  }
  return undefined;
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
