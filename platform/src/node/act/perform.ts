/** Carries out one step. Failures of starts are kept with the Pod; any other failure is thrown, and the step is decided upon again. */
import { messageOf } from '@sampan/api/errors.ts';
import { VolumeError } from '../../volumes/pod-volumes.ts';
import type { Action, ContainerRecord, SandboxRecord } from '../decide/model.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';
import { createSandbox } from './create-sandbox.ts';
import { cleanUp, finish } from './finish.ts';
import { startContainer } from './start-container.ts';
import { StartError } from './start-error.ts';
import { stopContainer } from './stop-container.ts';

export interface Seen {
  sandboxes: SandboxRecord[];
  containers: ContainerRecord[];
}

/** A start that failed is tried again after this, unless its error says when; doubled up to the limit. */
const firstRetryMs = 2000;
const lastRetryMs = 60_000;

export async function perform(
  context: NodeContext,
  state: PodState,
  { action, seen, signal }: { action: Action; seen: Seen; signal: AbortSignal },
): Promise<void> {
  const { runtime } = context;
  switch (action.type) {
    case 'createSandbox':
      return createSandbox(context, state, action);
    case 'startContainer':
      return start(context, state, { action, seen, signal });
    case 'stopContainer':
      return stopContainer(context, state, { action, sandboxes: seen.sandboxes });
    case 'removeContainer':
      await runtime.removeContainer({ containerId: action.id });
      return;
    case 'stopSandbox':
      await runtime.stopPodSandbox({ podSandboxId: action.id });
      return;
    case 'removeSandbox':
      await runtime.removePodSandbox({ podSandboxId: action.id });
      return;
    case 'cleanUp':
      return cleanUp(context, state);
    case 'finish':
      return finish(context, state, seen);
  }
}

async function start(
  context: NodeContext,
  state: PodState,
  { action, seen, signal }: { action: Extract<Action, { type: 'startContainer' }>; seen: Seen; signal: AbortSignal },
): Promise<void> {
  const sandbox = seen.sandboxes.find((one) => one.id === action.sandboxId);
  if (!sandbox) return;
  try {
    await startContainer(context, state, { action, sandbox, containers: seen.containers, signal });
    state.startFailures.delete(action.name);
    state.waiting.delete(action.name);
  } catch (error) {
    if (signal.aborted) return;
    keep(context, state, action.name, error);
  }
}

function keep(context: NodeContext, state: PodState, name: string, error: unknown): void {
  const before = state.startFailures.get(name);
  const delayMs = Math.min(lastRetryMs, before?.delayMs ? before.delayMs * 2 : firstRetryMs);
  const told = error instanceof StartError ? error.retryAtMs : undefined;
  const retryAtMs = told ?? context.clock.now() + delayMs;
  // A volume that is missing is no fault of the container's: it waits, and the event says for what.
  const reason = error instanceof StartError ? error.reason : 'ContainerCreating';
  const message = error instanceof VolumeError ? '' : messageOf(error);
  state.startFailures.set(name, { reason, message, retryAtMs, delayMs });
  state.waiting.set(name, { reason, message });
  if (!(error instanceof StartError) && !(error instanceof VolumeError))
    context.log.error(
      { pod: state.object.metadata?.name, container: name, error: messageOf(error) },
      'start failed for no reason we know',
    );
}
