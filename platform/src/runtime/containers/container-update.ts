/** UpdateContainerResources and ReopenContainerLog. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import { saveContainer } from '../records/container-record.ts';
import { handlerOf } from '../sandbox/handlers.ts';
import { checkResources, unsupported } from '../spec/refuse.ts';
import { ociResources } from '../spec/resources.ts';

/** Within what the machine has: it cannot grow. Throws FailedPrecondition when the container has ended. */
export function updateContainerResources(
  context: Context,
  request: cri.UpdateContainerResourcesRequest,
): Promise<cri.UpdateContainerResourcesResponse> {
  const container = context.container(request.containerId);
  if (request.windows) throw unsupported('UpdateContainerResources.windows', 'containers run Linux');
  checkResources(request.linux, handlerOf(context.sandboxOf(container).record.runtimeHandler));
  return context.locks.run(container.id, async () => {
    const { record } = container;
    if (record.state === 'exited')
      throw new SampanError('FailedPrecondition', `container ${container.id} is exited, wanted created or running`);
    const agent = await context.sandboxOf(container).link!.ready();
    await agent.updateResources(container.id, ociResources(request.linux));
    const given = Object.entries(request.linux ?? {}).filter(([, value]) => value !== undefined);
    const resources = { ...record.config.linux?.resources, ...Object.fromEntries(given) };
    record.config = { ...record.config, linux: { ...record.config.linux, resources } };
    await saveContainer(context.paths, record);
    return {};
  });
}

/** The log was renamed by a rotation: go on in a new file. */
export async function reopenContainerLog(
  context: Context,
  request: cri.ReopenContainerLogRequest,
): Promise<cri.ReopenContainerLogResponse> {
  const container = context.container(request.containerId);
  if (container.record.state !== 'running')
    throw new SampanError(
      'FailedPrecondition',
      `container ${container.id} is ${container.record.state}, wanted running`,
    );
  await container.pump?.reopen();
  return {};
}
