/** The Node object: what this machine is and has, as the API is told. */
import { readFile } from 'node:fs/promises';
import { arch, hostname, release } from 'node:os';
import type {
  ContainerImage,
  Node,
  NodeAddress,
  NodeCondition,
  NodeStatus,
  NodeSystemInfo,
} from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import type { VmmCapabilities } from '../../vmm/vmm.ts';
import type { NodeCapacity } from '../node-options.ts';

export interface NodeFacts {
  nodeName: string;
  capacity: NodeCapacity;
  addresses: NodeAddress[];
  vmm: VmmCapabilities;
  system: NodeSystemInfo;
}

/** What may change while the node runs. */
export interface NodeHealth {
  runtimeReady: boolean;
  runtimeMessage: string;
  diskPressure: boolean;
  diskMessage: string;
  images: ContainerImage[];
}

export const accelerationAnnotation = 'sampan.dev/acceleration';

/** Node's names of architectures to Go's, which Kubernetes uses. */
const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' };
const architecture = architectures[arch()] ?? arch();

/** Labels and annotations that are kept true; those of others stay as they are. */
export function nodeMetadata({ nodeName, vmm }: NodeFacts): NonNullable<Node['metadata']> {
  return {
    name: nodeName,
    labels: {
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture,
      'kubernetes.io/hostname': nodeName,
      'beta.kubernetes.io/os': 'linux',
      'beta.kubernetes.io/arch': architecture,
    },
    annotations: { [accelerationAnnotation]: `${vmm.acceleration}: ${vmm.accelerationReason}` },
  };
}

export function nodeStatus(
  facts: NodeFacts,
  health: NodeHealth,
  before: NodeStatus | undefined,
  nowMs: number,
): NodeStatus {
  const { cpuMillicores, memoryBytes, ephemeralStorageBytes, pods } = facts.capacity;
  const amounts = {
    cpu: cpuMillicores % 1000 === 0 ? String(cpuMillicores / 1000) : `${cpuMillicores}m`,
    memory: `${Math.floor(memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(ephemeralStorageBytes / 1024)}Ki`,
    pods: String(pods),
  };
  return {
    capacity: amounts,
    allocatable: amounts,
    addresses: facts.addresses,
    conditions: conditions(health, before?.conditions ?? [], toTime(nowMs)),
    nodeInfo: facts.system,
    images: health.images,
  };
}

type Draft = Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>;

function conditions(health: NodeHealth, before: NodeCondition[], now: string): NodeCondition[] {
  const drafts: Draft[] = [
    {
      type: 'MemoryPressure',
      status: 'False',
      reason: 'KubeletHasSufficientMemory',
      message: 'kubelet has sufficient memory available',
    },
    health.diskPressure
      ? { type: 'DiskPressure', status: 'True', reason: 'KubeletHasDiskPressure', message: health.diskMessage }
      : {
          type: 'DiskPressure',
          status: 'False',
          reason: 'KubeletHasNoDiskPressure',
          message: 'kubelet has no disk pressure',
        },
    {
      type: 'PIDPressure',
      status: 'False',
      reason: 'KubeletHasSufficientPID',
      message: 'kubelet has sufficient PID available',
    },
    health.runtimeReady
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: health.runtimeMessage },
  ];
  return drafts.map((draft) => {
    const old = before.find((condition) => condition.type === draft.type);
    const since = old?.status === draft.status ? old.lastTransitionTime : undefined;
    return { ...draft, lastHeartbeatTime: now, lastTransitionTime: since ?? now };
  });
}

/** Reads what the machine says of itself. What it does not say is ''. */
export async function systemInfo(version: string): Promise<NodeSystemInfo> {
  const text = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).trim();
  const [machineID, bootID, systemUUID, os] = await Promise.all([
    text('/etc/machine-id'),
    text('/proc/sys/kernel/random/boot_id'),
    text('/sys/class/dmi/id/product_uuid'),
    text('/etc/os-release'),
  ]);
  return {
    machineID: machineID || hostname(),
    systemUUID: systemUUID || machineID,
    bootID,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(os)?.[1] ?? 'Linux',
    containerRuntimeVersion: `sampan://${version}`,
    kubeletVersion: `v1.33.0+sampan.${version}`,
    kubeProxyVersion: '',
    operatingSystem: 'linux',
    architecture,
  };
}
