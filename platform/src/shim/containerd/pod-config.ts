/** CRI's PodSandboxConfig (k8s.io/cri-api v1, api.proto) as far as a machine depends on it, as containerd's CRI plugin sends it along with a sandbox. */
import type * as cri from '../../runtime/generated/cri.ts';
import { int64, Message, nested, pairs, repeated, string, uint32 } from '../ttrpc/protobuf.ts';

const dnsConfig = new Message({
  servers: repeated(string(1)),
  searches: repeated(string(2)),
  options: repeated(string(3)),
});
const resources = new Message({ cpuPeriod: int64(1), cpuQuota: int64(2), memoryLimitInBytes: int64(4) });
const usernsOptions = new Message({ mode: uint32(1) });
const namespaceOptions = new Message({
  network: uint32(1),
  pid: uint32(2),
  ipc: uint32(3),
  usernsOptions: nested(5, usernsOptions),
});
const securityContext = new Message({ namespaceOptions: nested(1, namespaceOptions) });
const linux = new Message({
  securityContext: nested(2, securityContext),
  sysctls: pairs(3),
  resources: nested(5, resources),
});

export const podConfigMessage = new Message({
  hostname: string(2),
  dnsConfig: nested(4, dnsConfig),
  annotations: pairs(7),
  linux: nested(8, linux),
});

/** Throws BadRequest for bytes that are no such message. */
export function decodePodConfig(bytes: Uint8Array): cri.PodSandboxConfig {
  const { hostname, dnsConfig, annotations, linux } = podConfigMessage.decode(bytes);
  return {
    hostname,
    ...(dnsConfig ? { dnsConfig } : {}),
    annotations: recordOf(annotations),
    linux: {
      // CRI's NamespaceMode is a number here as there.
      securityContext: (linux?.securityContext ?? {}) as cri.LinuxSandboxSecurityContext,
      sysctls: recordOf(linux?.sysctls ?? []),
      ...(linux?.resources ? { resources: linux.resources } : {}),
    },
  };
}

const recordOf = (list: { key?: string; value?: string }[]): Record<string, string> =>
  Object.fromEntries(list.map(({ key = '', value = '' }) => [key, value]));
