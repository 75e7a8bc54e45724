/**
 * StopContainer: the stop signal, time, then SIGKILL; and the machine's end where the agent is silent. Idempotent; a second call with less time cuts the first
 * one's short.
 */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { answered } from '../sandbox/vm/silent-agent.ts';
import type { Container } from './container.ts';
import { finishContainer } from './container-finish.ts';

const SIGKILL = 9;
/** A process that SIGKILL does not end within this is stuck in the guest's kernel. */
const killMs = 30_000;

export async function stopContainer(
  context: Context,
  request: cri.StopContainerRequest,
): Promise<cri.StopContainerResponse> {
  let container: Container;
  try {
    container = context.container(request.containerId);
  } catch (error) {
    if (isReason(error, 'NotFound')) return {};
    throw error;
  }
  const { state } = container.record;
  if (state === 'exited') return {};
  const sandbox = context.sandboxOf(container);
  if (state === 'running') await stopRunning(context, sandbox, container, Number(request.timeout ?? 0n) * 1000);
  else await finishContainer(context, sandbox, container, neverStarted(context));
  return {};
}

/** As of a process that was killed before it did anything. */
const neverStarted = (context: Context) => ({
  exitCode: 128 + SIGKILL,
  reason: 'Error',
  message: 'stopped before it was started',
  finishedAtNanos: context.nowNanos(),
});

async function stopRunning(context: Context, sandbox: Sandbox, container: Container, graceMs: number): Promise<void> {
  const send = async (step: string, signal: number, all?: boolean) => {
    const agent = await unlessExited(container, sandbox);
    if (!agent) return;
    await context.step(step);
    await agent.signal(container.id, signal, all);
  };
  if (graceMs > 0) {
    await answered(context, sandbox, send('stop-signal', container.record.stopSignal));
    if (await exitedWithin(context, container, graceMs)) return;
  }
  await answered(context, sandbox, send('stop-kill', SIGKILL, true));
  if (await exitedWithin(context, container, killMs)) return;
  throw new SampanError(
    'Timeout',
    `container ${container.name} (${container.id}) is still running ${killMs / 1000} s after SIGKILL; stop its Pod to end the VM`,
  );
}

/** The agent, or undefined when the container ended while we waited for it. */
async function unlessExited(container: Container, sandbox: Sandbox) {
  return Promise.race([container.exited.promise, sandbox.link!.ready()]).catch((error) => {
    if (container.finishing) return container.finishing;
    throw error;
  });
}

async function exitedWithin(context: Context, container: Container, ms: number): Promise<boolean> {
  return (await within(context.options.clock, ms, container.exited.promise)) !== undefined;
}
