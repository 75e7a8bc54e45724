/**
 * An agent that has fallen silent (its process is stopped, its guest hangs) can end nothing any more. What was to be ended is ended all the same: with the
 * machine. Who asked would otherwise ask for ever.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { within } from '../../../base/within.ts';
import type { Agent } from '../../agent/agent.ts';
import type { Context } from '../../context.ts';
import type { Sandbox } from './sandbox.ts';
import { destroyMachine } from './sandbox-release.ts';
import { machineEnded } from './sandbox-watch.ts';

/** The longest that an agent takes over a call that waits for no container, on a host with far too much to do; far below any client's deadline. */
export const answerMs = 20_000;

/**
 * Waits for `work`, which is a call of the sandbox's agent that waits for nothing else. Undefined when the agent was silent: the machine has been ended, and
 * every container in it has then. Throws what `work` throws.
 */
export async function answered<T>(context: Context, sandbox: Sandbox, work: Promise<T>): Promise<T | undefined> {
  const answer = await within(context.options.clock, answerMs, work).catch((error) => {
    // Another call has found it silent, and its end is what failed ours.
    if (!ending.has(sandbox)) throw error;
  });
  if (answer) return answer.value;
  await endSilent(context, sandbox);
  return undefined;
}

/** Ends the machine of an agent that does not answer a question; one that does is left alone. */
export async function endIfSilent(context: Context, sandbox: Sandbox): Promise<void> {
  if (sandbox.record.state !== 'ready') return;
  const asked = sandbox.link!.ready().then((agent: Agent) => agent.listContainers());
  // An agent whose connection broke is followed by its link.
  await answered(context, sandbox, asked).catch(() => {});
}

/** Throws Timeout when the agent does not answer in time: for who only wants to know. */
export async function askedWithin<T>(context: Context, sandbox: Sandbox, ms: number, work: Promise<T>): Promise<T> {
  const answer = await within(context.options.clock, ms, work);
  if (answer) return answer.value;
  throw new SampanError('Timeout', `the agent of sandbox ${sandbox.id} did not answer within ${ms / 1000} s`);
}

const ending = new WeakMap<Sandbox, Promise<void>>();

/** Idempotent. */
async function endSilent(context: Context, sandbox: Sandbox): Promise<void> {
  const known = ending.get(sandbox);
  if (known) return known;
  if (sandbox.stopping || sandbox.record.state !== 'ready') return;
  const end = endMachine(context, sandbox).finally(() => ending.delete(sandbox));
  ending.set(sandbox, end);
  await end;
}

/** The machine first: whoever is told that a container has ended may count on it. */
async function endMachine(context: Context, sandbox: Sandbox): Promise<void> {
  context.log.warn({ sandboxId: sandbox.id, pod: sandbox.podName }, 'the agent is silent: its machine is ended');
  await context.step('silent-machine');
  // Its end is told here, with words of our own.
  sandbox.machine = undefined;
  try {
    await destroyMachine(context, context.paths.machine(sandbox.id));
  } finally {
    const message = `its agent did not answer for ${answerMs / 1000} s`;
    await machineEnded(context, sandbox, { kind: 'killed', message });
  }
}
