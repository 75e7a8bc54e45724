/** StartContainer: one call to the agent. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { saveContainer } from '../records/container-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import type { Container } from './container.ts';
import { emitEvent } from './container-event.ts';
import { finishContainer } from './container-finish.ts';

/** What containerd reports of a container whose process never ran. */
const startErrorCode = 128;

export function startContainer(
  context: Context,
  request: cri.StartContainerRequest,
): Promise<cri.StartContainerResponse> {
  const container = context.container(request.containerId);
  return context.locks.run(container.id, async () => {
    const { record } = container;
    if (record.state !== 'created')
      throw new SampanError(
        'FailedPrecondition',
        `container ${container.name} (${container.id}) is ${record.state}, wanted created; make a new one to run it again`,
      );
    await start(context, context.sandboxOf(container), container);
    return {};
  });
}

async function start(context: Context, sandbox: Sandbox, container: Container): Promise<void> {
  const { record } = container;
  const agent = await sandbox.link!.ready();
  const leave = await context.startGate.enter('container');
  try {
    await context.step('container-start');
    const { startedAtUnixNanos } = await agent.startContainer(container.id).finally(leave);
    record.startedAtNanos = startedAtUnixNanos;
    // It may have ended in the meantime; until that is dealt with it is no longer one that waits to be started.
    if (record.state === 'created') record.state = 'running';
  } catch (error) {
    leave();
    const finishedAtNanos = context.nowNanos();
    const message = messageOf(error).slice(0, 4096);
    // Nothing ran: there is no output to wait for.
    await container.pump?.stop();
    await finishContainer(context, sandbox, container, {
      exitCode: startErrorCode,
      reason: 'StartError',
      message,
      finishedAtNanos,
    });
    throw error;
  }
  await context.step('container-started');
  if (!container.finishing) await saveContainer(context.paths, record);
  emitEvent(context, sandbox, container, cri.ContainerEventType.CONTAINER_STARTED_EVENT);
}
