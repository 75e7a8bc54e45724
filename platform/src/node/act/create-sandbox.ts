/** Makes a Pod's machine, while its volumes and first images are brought in. */
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { runtimeHandler } from '../config/runtime-handler.ts';
import { sandboxConfig } from '../config/sandbox-config.ts';
import { type Action, initContainers, specOf } from '../decide/model.ts';
import { pathsOf } from '../paths.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';
import { prepareVolumes } from './prepare-volumes.ts';

const firstRetryMs = 1000;
const lastRetryMs = 60_000;

/** Does not throw: a failure is told as an event and kept for the next look. */
export async function createSandbox(
  context: NodeContext,
  state: PodState,
  action: Extract<Action, { type: 'createSandbox' }>,
): Promise<void> {
  const { runtime, clock, events } = context;
  // Begun here and waited for by the containers: it takes no longer than the machine does.
  void prepareVolumes(context, state).catch(() => {});
  try {
    if (action.replaces.length > 0) await release(context, state, action.replaces);
    const config = sandboxConfig({
      pod: state.pod,
      attempt: action.attempt,
      logDirectory: pathsOf(context.home, state.pod).logDirectory,
      hostResolvConf: context.hostResolvConf,
      presentImages: await presentImages(context, state),
    });
    await runtime.runPodSandbox({ config, runtimeHandler: await runtimeHandler(context.client, state.pod) });
    state.sandboxFailure = undefined;
    state.sandboxFailures = 0;
  } catch (error) {
    // A server before us asked for it, and the answer is in the records: look again.
    if (isReason(error, 'AlreadyExists')) return;
    const message = `Failed to create pod sandbox: ${messageOf(error)}`;
    events.pod(state.pod, 'Warning', 'FailedCreatePodSandBox', message);
    const delayMs = Math.min(lastRetryMs, firstRetryMs * 2 ** state.sandboxFailures++);
    state.sandboxFailure = { reason: 'FailedCreatePodSandBox', message, retryAtMs: clock.now() + delayMs };
  }
}

async function release({ runtime, events }: NodeContext, state: PodState, ids: string[]): Promise<void> {
  const message = 'Pod sandbox changed, it will be killed and re-created.';
  events.pod(state.pod, 'Normal', 'SandboxChanged', message);
  for (const podSandboxId of ids) await runtime.stopPodSandbox({ podSandboxId });
}

/** Ids of the Pod's images that are on the node already. What cannot be told is left out: it is a hint. */
async function presentImages({ images }: NodeContext, state: PodState): Promise<string[]> {
  const containers = [...specOf(state.pod).containers, ...initContainers(state.pod)];
  const names = [...new Set(containers.map((container) => container.image ?? ''))];
  const found = await Promise.all(names.map((name) => images.present(name).catch(() => undefined)));
  return [...new Set(found.map((image) => image?.id).filter((id): id is string => !!id))];
}
