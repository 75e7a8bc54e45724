/** RemoveContainer: kills what runs, forgets it in the guest and here. The log file stays: it is the node's. Idempotent. */
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { deleteContainer } from '../records/container-record.ts';
import { answered, answerMs, endIfSilent } from '../sandbox/vm/silent-agent.ts';
import type { Container } from './container.ts';
import { emitEvent } from './container-event.ts';
import { stopContainer } from './container-stop.ts';

export async function removeContainer(
  context: Context,
  request: cri.RemoveContainerRequest,
): Promise<cri.RemoveContainerResponse> {
  try {
    const container = context.container(request.containerId);
    const removing = context.locks.run(container.id, () => remove(context, container));
    // Whoever has the container now may wait for an agent that will never answer.
    if (!(await within(context.options.clock, answerMs, removing)))
      await endIfSilent(context, context.sandboxOf(container));
    await removing;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
  return {};
}

async function remove(context: Context, container: Container): Promise<void> {
  if (!context.containers.has(container.id)) return;
  await stopContainer(context, { containerId: container.id, timeout: 0n });
  const sandbox = context.sandboxOf(container);
  await context.step('container-remove');
  if (sandbox.record.state === 'ready') {
    const agent = sandbox.link!.ready().catch((error) => {
      // The machine died meanwhile, and the container with it.
      context.log.debug({ containerId: container.id, error: messageOf(error) }, 'no agent to remove a container from');
      return undefined;
    });
    await answered(
      context,
      sandbox,
      agent.then((there) => there?.removeContainer(container.id)),
    );
  }
  await container.pump?.stop();
  await context.step('container-forget');
  await deleteContainer(context.paths, container.record);
  context.containers.delete(container.id);
  sandbox.containers.delete(container.id);
  emitEvent(context, sandbox, container, cri.ContainerEventType.CONTAINER_DELETED_EVENT);
}
