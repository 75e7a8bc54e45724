/**
 * Whether a Pod that was bound past the scheduler (spec.nodeName by hand) fits on the node: kubelet's predicates of resources
 * and host ports. A Pod that does not is refused for good: Failed, OutOfcpu and the like.
 */
import { hostPortsCollide, hostPortsTaken } from '@sampan/api/pod-host-ports.ts';
import { requestedSize, type Size } from '@sampan/api/pod-size.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { isTerminalPhase } from './model.ts';

export type NodeRoom = Size & { pods: number };

export interface Refusal {
  reason: string;
  message: string;
}

/** kubelet's eviction manager: a node under pressure takes only what the system itself stands on (scheduling.SystemCriticalPriority). */
export function pressureRefusal(pod: Pod, conditions: string[]): Refusal | undefined {
  if (conditions.length === 0 || (pod.spec?.priority ?? 0) >= systemCriticalPriority) return undefined;
  return { reason: 'Evicted', message: `The node had condition: [${conditions.join(' ')}]. ` };
}

const systemCriticalPriority = 2_000_000_000;

/** `others`: the Pods that are on the node already; those that have ended do not count. */
export function refusalOf(pod: Pod, others: Pod[], room: NodeRoom): Refusal | undefined {
  const living = others.filter((other) => !isTerminalPhase(other.status?.phase));
  if (hostPortsCollide(pod, living))
    return { reason: 'NodePorts', message: `Pod was rejected: Predicate NodePorts failed: ${hostPortsTaken}` };
  if (living.length + 1 > room.pods) return refusal('pods', { requested: 1, used: living.length, capacity: room.pods });
  const wanted = requestedSize(pod);
  const sizes = living.map(requestedSize);
  const checks = [
    ['cpu', 'cpuMillicores'],
    ['memory', 'memoryBytes'],
    ['ephemeral-storage', 'ephemeralStorageBytes'],
  ] as const;
  for (const [resource, field] of checks) {
    const used = sizes.reduce((sum, size) => sum + size[field], 0);
    const requested = wanted[field];
    if (requested > 0 && used + requested > room[field])
      return refusal(resource, { requested, used, capacity: room[field] });
  }
  return undefined;
}

function refusal(
  resource: string,
  { requested, used, capacity }: Record<'requested' | 'used' | 'capacity', number>,
): Refusal {
  return {
    reason: `OutOf${resource}`,
    message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}
