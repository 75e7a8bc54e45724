/**
 * The runtime's handlers (CRI runtime_handler, a RuntimeClass's handler) and what a Pod may ask of each. Pure.
 *
 *   vm         a virtual machine of its own; the default
 *   namespace  Linux namespaces on the host's kernel
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { MachineNamespaces } from '../../vmm/vmm.ts';
import { runtimeAnnotation } from '../annotations.ts';
import * as cri from '../generated/cri.ts';
import { unsupported } from '../spec/refuse.ts';

export type Handler = 'vm' | 'namespace';

/** As the Node and CRI's Status name them; '' is the default one. */
export const handlerNames = ['', 'vm', 'namespace'];

/** Throws Unsupported for a handler that is not known. */
export function handlerOf(name: string | undefined): Handler {
  if (!name || name === 'vm') return 'vm';
  if (name === 'namespace') return name;
  throw new SampanError(
    'Unsupported',
    `runtime handler "${name}" is not known; leave it out or say "vm" for a virtual machine, "namespace" for the host's kernel`,
  );
}

/** How a Pod's network comes about. */
export type NetworkMode = 'bridge' | 'host' | 'none' | 'macvlan';

const modesToAskFor = ['bridge', 'none', 'macvlan'];

/** Throws Invalid for a mode that does not exist, Unsupported for one that the handler does not have. */
export function networkModeOf(config: cri.PodSandboxConfig, handler: Handler): NetworkMode {
  const asked = config.annotations?.[runtimeAnnotation.networkMode];
  const isHost = config.linux?.securityContext?.namespaceOptions?.network === cri.NamespaceMode.NODE;
  if (asked !== undefined && asked !== 'host' && !modesToAskFor.includes(asked))
    throw new SampanError(
      'Invalid',
      `annotation ${runtimeAnnotation.networkMode} is "${asked}"; wanted ${modesToAskFor.join(', ')}, or hostNetwork: true`,
    );
  if (isHost && asked !== undefined && asked !== 'host')
    throw new SampanError(
      'Invalid',
      `hostNetwork and annotation ${runtimeAnnotation.networkMode}=${asked} contradict each other`,
    );
  if (asked === 'host' && !isHost)
    throw new SampanError('Invalid', `annotation ${runtimeAnnotation.networkMode}=host: say hostNetwork: true instead`);
  const mode: NetworkMode = isHost ? 'host' : ((asked as NetworkMode | undefined) ?? 'bridge');
  if (handler === 'vm' && mode !== 'bridge')
    throw unsupported(
      isHost ? 'hostNetwork' : `network mode ${mode}`,
      'a Pod in a VM has a network of its own; the runtime class "namespace" can have it',
    );
  return mode;
}

/**
 * Throws Unsupported for a sysctl that is the host's and not of a namespace of the Pod's own (kubelet's list, pkg/kubelet/sysctl). The agent checks
 * again. A VM has a kernel of its own: whatever it knows is the Pod's.
 */
export function checkSysctls(config: cri.PodSandboxConfig, handler: Handler): void {
  if (handler === 'vm') return;
  const { NODE } = cri.NamespaceMode;
  const options = config.linux?.securityContext?.namespaceOptions;
  for (const name of Object.keys(config.linux?.sysctls ?? {})) {
    const plain = name.replaceAll('/', '.');
    const isOwn = /^net\./.test(plain)
      ? options?.network !== NODE
      : /^(kernel\.(shm|msg)|fs\.mqueue\.|kernel\.sem$)/.test(plain) && options?.ipc !== NODE;
    if (!isOwn)
      throw unsupported(`sysctl ${name}`, "on the host's kernel it would change the host's; a VM has its own");
  }
}

/** Of a machine on the host. */
export function machineNamespaces(config: cri.PodSandboxConfig, mode: NetworkMode): MachineNamespaces {
  const { NODE } = cri.NamespaceMode;
  const options = config.linux?.securityContext?.namespaceOptions;
  return {
    network: mode === 'host' ? 'host' : 'own',
    pid: options?.pid === NODE ? 'host' : 'own',
    ipc: options?.ipc === NODE ? 'host' : 'own',
  };
}
