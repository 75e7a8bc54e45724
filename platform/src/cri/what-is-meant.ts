/**
 * What a request means where CRI says so and not its fields. Pure.
 *
 * What is said by saying nothing of namespaces: in CRI a message's absence is its zeros, so a Pod shares its processes unless it is told otherwise (POD
 * is NamespaceMode's zero; so do containerd and CRI-O), and a container does as its Pod. kubelet always says.
 */
import { SampanError } from '@sampan/api/errors.ts';
import * as cri from '../runtime/generated/cri.ts';

const { POD } = cri.NamespaceMode;
const zeros: cri.NamespaceOption = { network: POD, pid: POD, ipc: POD };

export function withPodNamespaces(request: cri.RunPodSandboxRequest): cri.RunPodSandboxRequest {
  const { config } = request;
  if (!config || config.linux?.securityContext?.namespaceOptions) return request;
  const securityContext = { ...config.linux?.securityContext, namespaceOptions: zeros };
  return { ...request, config: { ...config, linux: { ...config.linux, securityContext } } };
}

/** Throws Invalid for a group without a user: "run_as_group should only be specified when run_as_user or run_as_username is specified" (CRI). */
export function checkGroup({ config }: cri.CreateContainerRequest): void {
  const { runAsGroup, runAsUser, runAsUsername } = config?.linux?.securityContext ?? {};
  if (runAsGroup && !runAsUser && !runAsUsername)
    throw new SampanError('Invalid', 'runAsGroup is given without runAsUser or runAsUsername');
}

export function withContainerNamespaces(request: cri.CreateContainerRequest): cri.CreateContainerRequest {
  const { config, sandboxConfig } = request;
  if (!config || config.linux?.securityContext?.namespaceOptions) return request;
  const namespaceOptions = sandboxConfig?.linux?.securityContext?.namespaceOptions ?? zeros;
  const securityContext = { ...config.linux?.securityContext, namespaceOptions };
  return { ...request, config: { ...config, linux: { ...config.linux, securityContext } } };
}
