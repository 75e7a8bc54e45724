/** Carries a client's stdin to its container. The guest's pipe sets the pace; what the client closes is closed inside. */
import { messageOf } from '@sampan/api/errors.ts';
import type { BundleContext, LiveContainer } from './bundle-context.ts';
import { agentOf } from './container-life.ts';
import type { InputEnd } from './stdio-ends.ts';

export function carryInput(context: BundleContext, container: LiveContainer, input: InputEnd): void {
  const { id } = container.record;
  const carry = async () => {
    for await (const data of input.chunks()) await (await agentOf(context, container)).writeStdin(id, data);
    if (container.record.state !== 'stopped') await (await agentOf(context, container)).closeStdin(id);
  };
  carry().catch((error) => {
    if (container.record.state !== 'stopped')
      context.options.log.debug({ container: id, error: messageOf(error) }, 'stdin ended early');
  });
}
