/**
 * What is said by saying nothing of namespaces. In CRI a message's absence is its zeros, so a Pod shares its processes unless it is told otherwise (POD
 * is NamespaceMode's zero; so do containerd and CRI-O), and a container does as its Pod. kubelet always says. Pure.
 */
import * as cri from '../runtime/generated/cri.ts';

const { POD } = cri.NamespaceMode;
const zeros: cri.NamespaceOption = { network: POD, pid: POD, ipc: POD };

export function withPodNamespaces(request: cri.RunPodSandboxRequest): cri.RunPodSandboxRequest {
  const { config } = request;
  if (!config || config.linux?.securityContext?.namespaceOptions) return request;
  const securityContext = { ...config.linux?.securityContext, namespaceOptions: zeros };
  return { ...request, config: { ...config, linux: { ...config.linux, securityContext } } };
}

export function withContainerNamespaces(request: cri.CreateContainerRequest): cri.CreateContainerRequest {
  const { config, sandboxConfig } = request;
  if (!config || config.linux?.securityContext?.namespaceOptions) return request;
  const namespaceOptions = sandboxConfig?.linux?.securityContext?.namespaceOptions ?? zeros;
  const securityContext = { ...config.linux?.securityContext, namespaceOptions };
  return { ...request, config: { ...config, linux: { ...config.linux, securityContext } } };
}
