/** Who carries out inside what is asked of a container. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Agent } from '../agent/agent.ts';
import type { BundleContext, LiveContainer } from './bundle-context.ts';

/** The agent of the container's sandbox, once it is set up. Throws FailedPrecondition when the machine is gone. */
export async function agentOf(context: BundleContext, { record }: LiveContainer): Promise<Agent> {
  const { link, record: sandbox } = context.sandbox(record.sandboxId);
  if (!link || sandbox.state === 'notready' || sandbox.state === 'deleting')
    throw new SampanError('FailedPrecondition', `sandbox ${record.sandboxId} is not ready: ${sandbox.message}`);
  return link.ready();
}
