/** Refuses by name what CRI can say and this runtime does not do: nothing is ever dropped in silence. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import * as cri from '../generated/cri.ts';
import { cgroupParentOf } from './cgroup-parent.ts';
import { portMappings } from './port-mappings.ts';

export function unsupported(field: string, why: string): SampanError {
  return new SampanError('Unsupported', `${field}: ${why}`);
}

/** Throws Unsupported or Invalid naming the field. */
export function checkSandboxConfig(config: cri.PodSandboxConfig, handler: 'vm' | 'namespace'): void {
  const { metadata, linux } = config;
  if (!metadata?.name || !metadata.namespace || !metadata.uid)
    throw new SampanError('Invalid', 'PodSandboxConfig.metadata needs name, namespace and uid');
  if (config.windows) throw unsupported('PodSandboxConfig.windows', 'Pods run Linux');
  const security = linux?.securityContext;
  checkSelinux(security?.selinuxOptions);
  checkNamespaces(security?.namespaceOptions, handler);
  portMappings(config.portMappings);
  cgroupParentOf(linux);
  for (const [name, value] of Object.entries(linux?.sysctls ?? {})) {
    if (!/^[a-z0-9][a-z0-9_./-]{0,252}$/.test(name) || name.includes('..'))
      throw new SampanError('Invalid', `sysctl "${name}" is not a sysctl's name`);
    if (value.length > 4096) throw new SampanError('Invalid', `sysctl ${name}: its value is over 4096 characters`);
  }
}

/** Throws Unsupported or Invalid naming the field. */
export function checkContainerConfig(config: cri.ContainerConfig, handler: 'vm' | 'namespace'): void {
  if (!config.metadata?.name) throw new SampanError('Invalid', 'ContainerConfig.metadata needs a name');
  if (!config.image?.image) throw new SampanError('Invalid', `container ${config.metadata.name} names no image`);
  if (config.windows) throw unsupported('ContainerConfig.windows', 'containers run Linux');
  if (config.CDIDevices?.length) throw unsupported('ContainerConfig.CDIDevices', 'devices are named by their paths');
  const security = config.linux?.securityContext;
  checkSelinux(security?.selinuxOptions);
  checkNamespaces(security?.namespaceOptions, handler);
  if (
    security?.apparmor?.profileType === cri.SecurityProfile_ProfileType.Localhost ||
    security?.apparmorProfile?.startsWith('localhost/')
  )
    throw unsupported('appArmorProfile Localhost', 'guests have no AppArmor profiles; leave it out');
  checkResources(config.linux?.resources, handler);
}

/** cgroup settings that name things of the host. */
export function checkResources(resources: cri.LinuxContainerResources | undefined, handler: 'vm' | 'namespace'): void {
  const isVm = handler === 'vm';
  if (isVm && resources?.cpusetCpus)
    throw unsupported('resources.cpusetCpus', 'a VM does not see the CPUs of its host');
  if (isVm && resources?.cpusetMems)
    throw unsupported('resources.cpusetMems', 'a VM does not see the memory nodes of its host');
  const pages = resources?.hugepageLimits?.find((limit) => (limit.limit ?? 0n) > 0n);
  if (pages) throw unsupported(`hugepages-${pages.pageSize}`, 'containers get no huge pages');
  for (const list of [resources?.cpusetCpus, resources?.cpusetMems])
    if (list && !/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?){0,500}$/.test(list))
      throw new SampanError('Invalid', `"${list.slice(0, 100)}" is no list of CPUs or memory nodes`);
  for (const key of Object.keys(resources?.unified ?? {}))
    if (!/^[a-z]+\.[a-z0-9_.]{1,64}$/.test(key))
      throw new SampanError('Invalid', `resources.unified: "${key}" is not a cgroup file`);
}

function checkSelinux(options: cri.SELinuxOption | undefined): void {
  if (options && Object.values(options).some(Boolean))
    throw unsupported('seLinuxOptions', 'the guest has no SELinux; leave them out');
}

/** A VM's own network, IPC and process space are the Pod's; the host's are not reachable from it. */
function checkNamespaces(options: cri.NamespaceOption | undefined, handler: 'vm' | 'namespace'): void {
  const { NODE } = cri.NamespaceMode;
  if (handler === 'vm') {
    if (options?.network === NODE) throw unsupported('hostNetwork', 'a Pod in a VM has a network of its own');
    if (options?.pid === NODE) throw unsupported('hostPID', 'a Pod in a VM has processes of its own');
    if (options?.ipc === NODE) throw unsupported('hostIPC', 'a Pod in a VM has an IPC space of its own');
  }
  const users = options?.usernsOptions?.mode;
  if (users === cri.NamespaceMode.POD)
    throw unsupported('hostUsers: false', 'user namespaces are not used inside the VM; the VM itself keeps root apart');
  if (users !== undefined && users !== NODE)
    throw new SampanError('Invalid', `user namespace mode ${users}: wanted that of the node, or one of the Pod's own`);
}
