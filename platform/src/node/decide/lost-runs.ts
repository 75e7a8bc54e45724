/**
 * Runs that the runtime has forgotten (its records were lost with the host's memory, say) but the Pod's status in the API tells of:
 * without them a Pod that must not be restarted would be run a second time.
 */
import type { ContainerStateTerminated, ContainerStatus, Pod } from 'kubernetes-types/core/v1.js';
import type { ContainerRecord } from './model.ts';

export function lostRuns(pod: Pod, known: readonly ContainerRecord[]): ContainerRecord[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses]
    .filter((status) => !known.some((record) => record.name === status.name))
    .map(lostRun)
    .filter((record) => record !== undefined);
}

function lostRun(status: ContainerStatus): ContainerRecord | undefined {
  const { running, terminated } = status.state ?? {};
  const end: ContainerStateTerminated | undefined = running
    ? {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the node started. The container used to be Running',
        startedAt: running.startedAt,
      }
    : (terminated ?? status.lastState?.terminated);
  if (!end) return undefined;
  return {
    id: '',
    name: status.name,
    sandboxId: '',
    attempt: status.restartCount,
    state: 'exited',
    createdAtMs: 0,
    startedAtMs: Date.parse(end.startedAt ?? '') || 0,
    finishedAtMs: Date.parse(end.finishedAt ?? '') || 0,
    exitCode: end.exitCode,
    reason: end.reason ?? '',
    message: end.message ?? '',
    image: status.image,
    imageRef: status.imageID,
    specHash: '',
    logPath: '',
  };
}
