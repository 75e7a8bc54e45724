/**
 * Compares what the guest knows of containers with the records, on each new connection to an agent: exits that nobody heard of are told,
 * and what nobody owns is removed. Level-based; safe to run again.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Agent, GuestContainerStatus } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import { saveContainer } from '../records/container-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import type { Container } from './container.ts';
import { exitOf, finishContainer } from './container-finish.ts';

/** What containerd reports of a container whose end nobody saw. */
const unknownExit = 255;

export async function reconcileContainers(context: Context, sandbox: Sandbox, agent: Agent): Promise<void> {
  const guests = new Map((await agent.listContainers()).map((status) => [status.id, status]));
  for (const container of sandbox.containers.values())
    await compare(context, sandbox, container, guests.get(container.id));
  for (const id of guests.keys()) {
    if (sandbox.containers.has(id)) continue;
    await agent.removeContainer(id).catch((error) => {
      context.log.warn(
        { sandboxId: sandbox.id, containerId: id, error: messageOf(error) },
        'cannot remove a stray container',
      );
    });
  }
}

async function compare(
  context: Context,
  sandbox: Sandbox,
  container: Container,
  guest: GuestContainerStatus | undefined,
): Promise<void> {
  const { record } = container;
  // One that is being made just now: its maker sees to it.
  if (record.state === 'creating' || record.state === 'exited') return;
  if (!guest) {
    const message = "the sandbox's agent does not know this container any more";
    const exit = { exitCode: unknownExit, reason: 'Error', message, finishedAtNanos: context.nowNanos() };
    // Its output is gone with it.
    void container.pump?.stop();
    void finishContainer(context, sandbox, container, exit);
  } else if (guest.state === 'exited' && guest.exit) {
    // Not awaited: the exit waits for the last output, which comes over this very connection.
    void finishContainer(context, sandbox, container, exitOf(guest.exit));
  } else if (guest.state === 'running' && record.state === 'created') {
    record.state = 'running';
    record.startedAtNanos = guest.startedAtUnixNanos;
    await saveContainer(context.paths, record);
  }
}
