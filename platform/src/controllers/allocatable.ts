/** What a Node says Pods may use, in the units of api/pod-size. */
import type { Size } from '@sampan/api/pod-size.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { NodeObject } from './node-selection.ts';

export function allocatableOf(node: NodeObject): Size & { pods: number } {
  const amounts: Record<string, string | undefined> = node.status?.allocatable ?? {};
  return {
    cpuMillicores: tryParseQuantity(amounts.cpu)?.milliValue() ?? 0,
    memoryBytes: tryParseQuantity(amounts.memory)?.value() ?? 0,
    ephemeralStorageBytes: tryParseQuantity(amounts['ephemeral-storage'])?.value() ?? 0,
    pods: tryParseQuantity(amounts.pods)?.value() ?? 0,
  };
}
