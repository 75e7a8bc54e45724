/** Millicores and bytes as CRI's LinuxContainerResources. */
import { containersSize, overheadSize, type Size } from '@sampan/api/pod-size.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../../runtime/generated/cri.ts';

const cpuPeriodUs = 100_000;
/** The kernel takes no smaller quota and no smaller share. */
const smallestQuotaUs = 1000;
const smallestShares = 2;

/** What the machine is made with: runtime adds nothing to it. */
export function sandboxResources(pod: Pod): {
  resources: cri.LinuxContainerResources;
  overhead: cri.LinuxContainerResources;
} {
  return { resources: fromSize(containersSize(pod)), overhead: fromSize(overheadSize(pod)) };
}

function fromSize(size: Size): cri.LinuxContainerResources {
  return {
    cpuPeriod: BigInt(cpuPeriodUs),
    cpuQuota: size.cpuMillicores > 0 ? quotaOf(size.cpuMillicores) : 0n,
    cpuShares: sharesOf(size.cpuMillicores),
    memoryLimitInBytes: BigInt(size.memoryBytes),
  };
}

export function containerResources(
  pod: Pod,
  container: Pick<Container, 'resources'>,
  machine: Size,
): cri.LinuxContainerResources {
  const { limits, requests } = container.resources ?? {};
  const cpuLimit = tryParseQuantity(limits?.cpu)?.milliValue();
  const cpuRequest = tryParseQuantity(requests?.cpu)?.milliValue() ?? cpuLimit ?? 0;
  const memoryLimit = tryParseQuantity(limits?.memory)?.value();
  const memoryRequest = tryParseQuantity(requests?.memory)?.value() ?? 0;
  return {
    cpuPeriod: BigInt(cpuPeriodUs),
    cpuQuota: cpuLimit ? quotaOf(cpuLimit) : 0n,
    cpuShares: sharesOf(cpuRequest),
    memoryLimitInBytes: BigInt(memoryLimit ?? 0),
    oomScoreAdj: BigInt(oomScore(pod, memoryRequest, machine.memoryBytes)),
  };
}

const quotaOf = (millicores: number): bigint =>
  BigInt(Math.max(smallestQuotaUs, Math.round((millicores * cpuPeriodUs) / 1000)));

const sharesOf = (millicores: number): bigint =>
  BigInt(Math.max(smallestShares, Math.floor((millicores * 1024) / 1000)));

/** kubelet's qos policy: who is killed first when the machine's memory is full. */
function oomScore(pod: Pod, memoryRequest: number, machineBytes: number): number {
  const qos = pod.status?.qosClass;
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort' || machineBytes === 0) return 1000;
  return Math.min(999, Math.max(3, 1000 - Math.floor((1000 * memoryRequest) / machineBytes)));
}
