/** A Pod as CRI's PodSandboxConfig. */
import { machineSize } from '@sampan/api/pod-size.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../../runtime/generated/cri.ts';
import { Protocol } from '../../runtime/generated/cri.ts';
import { kindOf } from '../../volumes/paths.ts';
import { graceSecondsOf } from '../decide/model.ts';
import { annotation, podLabels } from '../labels.ts';
import { clusterFirst, podDns, type ResolvConf } from './dns.ts';
import { podHostname } from './hostname.ts';
import { sandboxResources } from './resources.ts';
import { sandboxSecurity } from './security.ts';

export interface SandboxConfigInput {
  pod: Pod;
  attempt: number;
  logDirectory: string;
  hostResolvConf: ResolvConf;
  /** The Pod's images that are on the node already, so that the machine may be made with them attached. */
  presentImages: string[];
}

/** Throws Invalid when the Pod's name for itself cannot be had. */
export function sandboxConfig(input: SandboxConfigInput): cri.PodSandboxConfig {
  const { pod, attempt } = input;
  const { name, namespace, uid, labels, annotations } = pod.metadata ?? {};
  return {
    metadata: { name, namespace, uid, attempt },
    hostname: podHostname(pod).hostname,
    logDirectory: input.logDirectory,
    dnsConfig: podDns(pod, input.hostResolvConf),
    portMappings: hostPorts(pod),
    labels: { ...labels, ...podLabels(pod) },
    annotations: {
      ...annotations,
      ...volumeAnnotations(pod),
      [annotation.images]: JSON.stringify(input.presentImages),
      [annotation.grace]: String(graceSecondsOf(pod)),
      ...ephemeralStorage(pod),
      ...(pod.spec?.volumes?.some((volume) => volume.hostPath) ? { [annotation.hostMounts]: 'true' } : {}),
      ...(clusterFirst(pod) ? { [annotation.clusterFirst]: 'true' } : {}),
    },
    linux: {
      securityContext: sandboxSecurity(pod),
      sysctls: Object.fromEntries((pod.spec?.securityContext?.sysctls ?? []).map((one) => [one.name, one.value])),
      ...sandboxResources(pod),
    },
  };
}

/** An emptyDir lives in the guest: the runtime is told what to make it of. */
function volumeAnnotations(pod: Pod): Record<string, string> {
  const entries = (pod.spec?.volumes ?? [])
    .filter((volume) => kindOf(volume) === 'emptyDir')
    .map(({ name, emptyDir }) => {
      const limit = tryParseQuantity(emptyDir?.sizeLimit)?.value();
      const medium = emptyDir?.medium === 'Memory' ? 'Memory' : '';
      return [annotation.volume + name, JSON.stringify({ medium, ...(limit ? { sizeLimitBytes: limit } : {}) })];
    });
  return Object.fromEntries(entries);
}

/** CRI has no field for the disk space of a Pod as a whole. */
function ephemeralStorage(pod: Pod): Record<string, string> {
  const { ephemeralStorageBytes } = machineSize(pod);
  return ephemeralStorageBytes > 0 ? { [annotation.ephemeralStorage]: String(ephemeralStorageBytes) } : {};
}

function hostPorts(pod: Pod): cri.PortMapping[] {
  return (pod.spec?.containers ?? [])
    .flatMap((container) => container.ports ?? [])
    .filter((port) => port.hostPort)
    .map((port) => ({
      protocol: Protocol[(port.protocol ?? 'TCP') as 'TCP' | 'UDP' | 'SCTP'],
      containerPort: port.containerPort,
      hostPort: port.hostPort,
      hostIp: port.hostIP ?? '',
    }));
}
