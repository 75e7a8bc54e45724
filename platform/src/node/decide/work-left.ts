/** What a Pod's restart policy leaves to be run. */
import {
  type ContainerRecord,
  initContainers,
  isSidecar,
  latestRun,
  type PodView,
  restartPolicyOf,
  specOf,
} from './model.ts';

export const succeeded = (record: ContainerRecord | undefined): boolean =>
  record?.state === 'exited' && record.exitCode === 0;

export const failed = (record: ContainerRecord | undefined): boolean =>
  record?.state === 'exited' && record.exitCode !== 0;

/** kubelet's ShouldContainerBeRestarted for a main container, given its latest run in any sandbox. */
export function mayRun(view: PodView, record: ContainerRecord | undefined): boolean {
  if (record?.state !== 'exited') return record?.state !== 'running';
  const policy = restartPolicyOf(view.pod);
  return policy === 'Always' || (policy === 'OnFailure' && record.exitCode !== 0);
}

/** An init container failed for good. */
function initializationFailed(view: PodView): boolean {
  if (restartPolicyOf(view.pod) !== 'Never') return false;
  return initContainers(view.pod).some(
    (container) => !isSidecar(container) && failed(latestRun(view.containers, container.name)),
  );
}

/** Nothing of the Pod is left to run: its machine may go. */
export function isDone(view: PodView): boolean {
  if (initializationFailed(view)) return true;
  return specOf(view.pod).containers.every((container) => {
    const record = latestRun(view.containers, container.name);
    return record?.state === 'exited' && !mayRun(view, record);
  });
}
