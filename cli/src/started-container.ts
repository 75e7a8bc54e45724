/** A container of a Pod that may have been made a moment ago: `sampan run -d` returns before its Pod runs. */
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { preferredContainer } from './default-container.ts';

interface ContainerStatus {
  name: string;
  state?: { waiting?: { reason?: string } };
}

export interface PodToStart extends KubeObject {
  spec?: { containers: { name: string }[] };
  status?: {
    phase?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

const patienceMs = 60_000;
const everyMs = 100;

/** The container of that name, or the one meant when none is named, once it has started or cannot. Throws NotFound when there is no such Pod. */
export async function startedContainer(
  client: KubeClient,
  { pod, namespace, container }: { pod: string; namespace: string; container?: string },
): Promise<string> {
  for (const endMs = performance.now() + patienceMs; ; await delay(everyMs)) {
    const now = await client.get<PodToStart>(resources.pods, pod, namespace);
    const name = container ?? preferredContainer(now);
    if (!isBeingMade(now, name) || performance.now() > endMs) return name;
  }
}

/** Whether nothing is known to keep it from starting soon. Pure. */
export function isBeingMade({ metadata, spec, status }: PodToStart, name: string): boolean {
  if (metadata?.deletionTimestamp || ['Succeeded', 'Failed'].includes(status?.phase ?? '')) return false;
  if (status?.conditions?.some((one) => one.type === 'PodScheduled' && one.status === 'False')) return false;
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const own = statuses.find((one) => one.name === name);
  if (!own) return statuses.length === 0 && (spec?.containers.some((one) => one.name === name) ?? false);
  const { waiting } = own.state ?? { waiting: {} };
  return waiting !== undefined && ['', 'ContainerCreating', 'PodInitializing'].includes(waiting.reason ?? '');
}
