/** Version, Status, RuntimeConfig: what the runtime is and whether it works. */
import { messageOf } from '@sampan/api/errors.ts';
import type { Network } from '../network/network.ts';
import type { Context } from './context.ts';
import * as cri from './generated/cri.ts';
import { handlerNames, handlerOf } from './sandbox/handlers.ts';

export function version(): cri.VersionResponse {
  return { version: '0.1.0', runtimeName: 'sampan', runtimeVersion: '0.1.0', runtimeApiVersion: 'v1' };
}

export async function status(context: Context, request: cri.StatusRequest): Promise<cri.StatusResponse> {
  const [vmm, network] = await Promise.all([
    context
      .vmm('')
      .capabilities()
      .then(
        (capabilities) => ({ capabilities, message: '' }),
        (error) => ({ capabilities: undefined, message: messageOf(error) }),
      ),
    networkFault(context.options.network).catch(messageOf),
  ]);
  const conditions = [
    condition('RuntimeReady', vmm.message, 'VmmNotReady'),
    condition('NetworkReady', network, 'NetworkNotReady'),
  ];
  const info: Record<string, string> = request.verbose ? { vmm: JSON.stringify(vmm.capabilities ?? {}) } : {};
  // User namespaces are refused by name: kubelet asks only for what is told here.
  const features = { recursiveReadOnlyMounts: true, userNamespaces: false };
  return {
    status: { conditions },
    info,
    runtimeHandlers: handlerNames
      .filter((name) => context.options.vmms[handlerOf(name)])
      .map((name) => ({ name, features })),
    features: { supplementalGroupsPolicy: true },
  };
}

async function networkFault(network: Network): Promise<string> {
  await network.list();
  return (await network.fault?.()) ?? '';
}

const condition = (type: string, message: string, reason: string): cri.RuntimeCondition => {
  return { type, status: message === '', reason: message === '' ? '' : reason, message };
};

/** cgroupfs: the guest has no systemd. */
export const runtimeConfig = (): cri.RuntimeConfigResponse => ({ linux: { cgroupDriver: cri.CgroupDriver.CGROUPFS } });
