/** PortForward: one connection to a port on the Pod's loopback. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Context } from '../context.ts';
import type { StreamSession } from '../runtime.ts';
import { sessionOf } from './exec.ts';

export async function portForward(context: Context, podSandboxId: string, port: number): Promise<StreamSession> {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new SampanError('Invalid', `port ${port} is not a port: 1 to 65535`);
  const sandbox = context.sandbox(podSandboxId);
  if (sandbox.record.state !== 'ready')
    throw new SampanError('FailedPrecondition', `sandbox ${sandbox.id} of Pod ${sandbox.podName} is not ready`);
  const agent = await sandbox.link!.ready();
  return sessionOf(await agent.dial(port), { stdin: true, tty: true });
}
