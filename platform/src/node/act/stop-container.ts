/** Stops a container: preStop, SIGTERM, and SIGKILL when its time is over. */
import type { Container } from 'kubernetes-types/core/v1.js';
import { type Action, initContainers, type SandboxRecord, specOf } from '../decide/model.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';

type Stop = Extract<Action, { type: 'stopContainer' }>;

/** A stop under way is only ever hurried: less time than it has is told to the runtime, more is not. */
const sameDeadlineMs = 1000;
const minimumMs = 2000;

/** Whether a stop that is under way would have to end sooner than it will. */
export function hurries({ clock }: Pick<NodeContext, 'clock'>, state: PodState, action: Stop): boolean {
  const before = state.stops.get(action.id);
  return before !== undefined && clock.now() + action.graceMs < before.deadlineMs - sameDeadlineMs;
}

/** Idempotent; resolves when the container has ended. Throws what the runtime threw. */
export async function stopContainer(
  context: NodeContext,
  state: PodState,
  { action, sandboxes }: { action: Stop; sandboxes: SandboxRecord[] },
): Promise<void> {
  const { clock, runtime, events } = context;
  const deadlineMs = clock.now() + action.graceMs;
  const before = state.stops.get(action.id);
  if (before) {
    if (!hurries(context, state, action)) return;
    before.deadlineMs = deadlineMs;
    before.hurry.abort(new Error('the Pod has less time'));
    await runtime.stopContainer({ containerId: action.id, timeout: secondsLeft(context, deadlineMs) });
    return;
  }
  const stop = { deadlineMs, hurry: new AbortController() };
  state.stops.set(action.id, stop);
  try {
    events.container(state.pod, action.name, { type: 'Normal', reason: action.reason, message: action.message });
    await preStop(context, state, { action, sandboxes, stop });
    await runtime.stopContainer({ containerId: action.id, timeout: secondsLeft(context, stop.deadlineMs) });
  } finally {
    state.stops.delete(action.id);
  }
}

const secondsLeft = ({ clock }: NodeContext, deadlineMs: number): bigint =>
  BigInt(Math.ceil(Math.max(minimumMs, deadlineMs - clock.now()) / 1000));

async function preStop(
  context: NodeContext,
  state: PodState,
  input: { action: Stop; sandboxes: SandboxRecord[]; stop: { deadlineMs: number; hurry: AbortController } },
): Promise<void> {
  const { action, stop } = input;
  const container = containerNamed(state, action.name);
  const hook = container?.lifecycle?.preStop;
  if (!container || !hook) return;
  const { signal } = stop.hurry;
  const over = new AbortController();
  // Given up when the container's whole time is over; the runtime then kills it.
  const timer = context.clock.sleep(stop.deadlineMs - context.clock.now(), over.signal).then(
    () => stop.hurry.abort(new Error('the time is over')),
    () => {},
  );
  const podIPs = input.sandboxes.find((sandbox) => sandbox.ready)?.ips ?? [];
  await context.hooks.preStop({ pod: state.pod, container, hook, id: action.id, podIPs, signal });
  over.abort();
  await timer;
}

function containerNamed({ pod }: PodState, name: string): Container | undefined {
  return [...specOf(pod).containers, ...initContainers(pod)].find((container) => container.name === name);
}
