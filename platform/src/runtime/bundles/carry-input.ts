/** Carries a client's stdin to its process. The guest's pipe sets the pace; what the client closes is closed inside, what it hangs up is hung up. */
import { messageOf } from '@sampan/api/errors.ts';
import type { Agent } from '../agent/agent.ts';
import { agentOf } from './agent-of.ts';
import type { BundleContext, LiveContainer } from './bundle-context.ts';
import type { HeldStdio } from './held-stdio.ts';
import type { InputEnd } from './stdio-ends.ts';

export interface InputTarget {
  /** The agent's name for the process. */
  id: string;
  /** As it is connected now; waits for one. */
  agent: () => Promise<Agent>;
  /** It has ended, and needs no more input. */
  isOver: () => boolean;
  held: HeldStdio;
  stdin: string | undefined;
}

export function carryInput(context: BundleContext, container: LiveContainer, input: InputEnd): void {
  const { record, held } = container;
  const isOver = () => record.state === 'stopped';
  const agent = async () => {
    await container.made.promise;
    return agentOf(context, container);
  };
  carryInputTo(context, input, { id: record.id, agent, isOver, held, stdin: record.stdio.stdin });
}

export function carryInputTo(context: BundleContext, input: InputEnd, target: InputTarget): void {
  const { id, agent, isOver, held, stdin } = target;
  const carry = async () => {
    for await (const data of input.chunks()) await (await agent()).writeStdin(id, data);
    if (isOver() || context.closing.signal.aborted) return;
    if (input.isTerminal) await (await agent()).hangUp(id);
    else await (await agent()).closeStdin(id);
  };
  const carried = carry().catch((error) => {
    if (!isOver()) context.options.log.debug({ container: id, error: messageOf(error) }, 'stdin ended early');
  });
  held.releaseAfter(carried, context.closing.signal, [stdin]);
}
