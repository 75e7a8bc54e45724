/** StopPodSandbox and RemovePodSandbox: idempotent, re-entrant after a crash at any line. */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import { within } from '../../../base/within.ts';
import { emitEvent } from '../../containers/container-event.ts';
import type { Context } from '../../context.ts';
import type * as cri from '../../generated/cri.ts';
import * as generated from '../../generated/cri.ts';
import { deleteSandbox, saveSandbox } from '../../records/sandbox-record.ts';
import type { Sandbox } from './sandbox.ts';
import { releaseResources } from './sandbox-release.ts';
import { failContainers, letGo } from './sandbox-watch.ts';

const SIGKILL = 9;
/** Time for killed containers to tell their exit and bring their last lines. */
const lastWordsMs = 3000;

export async function stopPodSandbox(
  context: Context,
  request: cri.StopPodSandboxRequest,
): Promise<cri.StopPodSandboxResponse> {
  const sandbox = findOrNone(context, request.podSandboxId);
  if (sandbox) await context.locks.run(sandbox.id, () => stop(context, sandbox));
  return {};
}

export async function removePodSandbox(
  context: Context,
  request: cri.RemovePodSandboxRequest,
): Promise<cri.RemovePodSandboxResponse> {
  const sandbox = findOrNone(context, request.podSandboxId);
  if (sandbox) await context.locks.run(sandbox.id, () => remove(context, sandbox));
  return {};
}

async function stop(context: Context, sandbox: Sandbox): Promise<void> {
  const { record } = sandbox;
  const wasReady = record.state === 'ready';
  await context.step('stop-record');
  // From here on a restart goes on stopping.
  record.state = 'notready';
  sandbox.stopping = true;
  await saveSandbox(context.paths, record);
  if (wasReady) await killContainers(context, sandbox);
  letGo(sandbox, new SampanError('ServiceUnavailable', `sandbox ${record.id} is stopped`));
  await context.step('stop-containers');
  await failContainers(context, sandbox, 'the sandbox was stopped');
  await releaseResources(context, record.id);
  sandbox.machine = undefined;
  if (wasReady) emitEvent(context, sandbox, sandbox, generated.ContainerEventType.CONTAINER_STOPPED_EVENT);
}

/** Best effort and bounded: the machine goes next, and takes with it whoever stayed. */
async function killContainers(context: Context, sandbox: Sandbox): Promise<void> {
  const alive = [...sandbox.containers.values()].filter((container) => container.record.state === 'running');
  if (alive.length === 0 || !sandbox.link) return;
  const kill = async () => {
    const agent = await sandbox.link!.ready();
    await Promise.all(alive.map((container) => agent.signal(container.id, SIGKILL, true)));
    await Promise.all(alive.map((container) => container.exited.promise));
  };
  await within(context.options.clock, lastWordsMs, kill()).catch(() => {});
}

async function remove(context: Context, sandbox: Sandbox): Promise<void> {
  if (!context.sandboxes.has(sandbox.id)) return;
  await stop(context, sandbox);
  await Promise.all([...sandbox.containers.values()].map((container) => container.pump?.stop()));
  await context.step('remove-record');
  await deleteSandbox(context.paths, sandbox.id);
  context.sandboxes.delete(sandbox.id);
  for (const container of sandbox.containers.values()) {
    context.containers.delete(container.id);
    emitEvent(context, sandbox, container, generated.ContainerEventType.CONTAINER_DELETED_EVENT);
  }
  emitEvent(context, sandbox, sandbox, generated.ContainerEventType.CONTAINER_DELETED_EVENT);
}

/** CRI: stopping or removing what is not there is done already. */
function findOrNone(context: Context, id: string | undefined): Sandbox | undefined {
  try {
    return context.sandbox(id);
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
