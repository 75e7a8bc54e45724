/** For drivers that have one network: the wire of a host's device (macvlan) is beside them, and never silently something else. */
import { SampanError } from '@sampan/api/errors.ts';
import type { AttachRequest } from './network.ts';

/** Throws Unsupported naming the mode. */
export function refuseMode({ mode, podNamespace, podName }: AttachRequest): void {
  if (mode)
    throw new SampanError('Unsupported', `network mode ${mode}: not on the network of Pod ${podNamespace}/${podName}`);
}
