/** The Node object: what this machine is and has, as the API is told. */
import { arch } from 'node:os';
import type {
  ContainerImage,
  Node,
  NodeAddress,
  NodeCondition,
  NodeStatus,
  NodeSystemInfo,
} from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import type { NodeCapacity, NodeInfo } from '../node-options.ts';

export interface NodeFacts {
  nodeName: string;
  capacity: NodeCapacity;
  addresses: string[];
  nodeInfo: NodeInfo;
}

/** What may change while the node runs. */
export interface NodeHealth {
  runtimeReady: boolean;
  runtimeMessage: string;
  diskPressure: boolean;
  diskMessage: string;
  images: ContainerImage[];
}

const accelerationAnnotation = 'sampan.dev/acceleration';

/** Node's names of architectures to Go's, which Kubernetes uses. */
const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64', riscv64: 'riscv64' };
const architecture = architectures[arch()] ?? arch();

/** Labels and annotations that are kept true; those of others stay as they are. */
export function nodeMetadata({ nodeName, nodeInfo }: NodeFacts): NonNullable<Node['metadata']> {
  return {
    name: nodeName,
    labels: {
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture,
      'kubernetes.io/hostname': nodeName,
      'beta.kubernetes.io/os': 'linux',
      'beta.kubernetes.io/arch': architecture,
    },
    annotations: { [accelerationAnnotation]: nodeInfo.acceleration },
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
    addresses: [
      ...facts.addresses.map((address): NodeAddress => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: facts.nodeName },
    ],
    conditions: conditions(health, before?.conditions ?? [], toTime(nowMs)),
    nodeInfo: systemInfo(facts.nodeInfo),
    ...offers(facts.nodeInfo),
    images: health.images,
  };
}

/** NodeStatus.runtimeHandlers and features are younger than the types. */
function offers({ runtimeHandlers, features }: NodeInfo): object {
  return {
    ...(runtimeHandlers ? { runtimeHandlers } : {}),
    ...(features ? { features: { supplementalGroupsPolicy: features.supplementalGroupsPolicy ?? false } } : {}),
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

function systemInfo(info: NodeInfo): NodeSystemInfo {
  const version = info.kubeletVersion.split('+sampan.')[1] ?? info.kubeletVersion;
  return {
    machineID: info.machineId,
    systemUUID: info.machineId,
    bootID: info.bootId,
    kernelVersion: info.kernelVersion,
    osImage: info.osImage,
    containerRuntimeVersion: `sampan://${version}`,
    kubeletVersion: info.kubeletVersion,
    kubeProxyVersion: '',
    operatingSystem: 'linux',
    architecture,
  };
}
