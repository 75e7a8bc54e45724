/** Values of the downward API: fields of a Pod, and resources of its containers. Shared by variables and volumes. */
import { SampanError } from '@sampan/api/errors.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import type { Container, ResourceFieldSelector } from 'kubernetes-types/core/v1.js';
import type { PodFacts } from './sources.ts';

/** Throws Invalid naming the path when there is no such field. */
export function fieldValue(facts: PodFacts, fieldPath: string): string {
  const { pod } = facts;
  const { metadata = {}, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return facts.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return facts.hostIPs.join(',');
    case 'status.podIP':
      return facts.podIPs[0] ?? '';
    case 'status.podIPs':
      return facts.podIPs.join(',');
    default:
      throw new SampanError('Invalid', `unsupported fieldPath: ${fieldPath}`);
  }
}

/** `key="value"` lines in the order of the keys, values quoted as Go does. */
function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** In units of the divisor, rounded up. A limit that is not set is the machine's; a request that is not set is 0. */
export function resourceValue(facts: PodFacts, selector: ResourceFieldSelector, container: Container): string {
  const [list, resource] = splitResource(selector.resource);
  const text = list && container.resources?.[list]?.[resource];
  const quantity = tryParseQuantity(text);
  const isCpu = resource === 'cpu';
  const fallback = list === 'limits' ? machineShare(facts, resource) : 0;
  const amount = quantity ? (isCpu ? quantity.milliValue() : quantity.value()) : fallback;
  const divisor = tryParseQuantity(selector.divisor && selector.divisor !== '0' ? selector.divisor : '1');
  const unit = (isCpu ? divisor?.milliValue() : divisor?.value()) || 1;
  return String(Math.ceil(amount / unit));
}

function splitResource(path: string): ['limits' | 'requests', string] {
  const match = /^(limits|requests)\.(.+)$/.exec(path);
  if (!match) throw new SampanError('Invalid', `unsupported container resource: ${path}`);
  return [match[1] as 'limits' | 'requests', match[2]!];
}

function machineShare({ machine }: PodFacts, resource: string): number {
  if (resource === 'cpu') return machine.cpuMillicores;
  if (resource === 'memory') return machine.memoryBytes;
  return resource === 'ephemeral-storage' ? machine.ephemeralStorageBytes : 0;
}

/** The container a resourceFieldRef means. Throws Invalid when the Pod has none of that name. */
export function containerNamed({ pod }: PodFacts, name: string | undefined): Container {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const container = all.find((one) => one.name === name);
  if (!container) throw new SampanError('Invalid', `container ${name} not found`);
  return container;
}
