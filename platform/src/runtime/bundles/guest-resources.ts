/** What limits a container, of its config.json, as crun gets it inside the machine. Pure; a part of guest-config.ts. */
import { refused } from './oci-config.ts';

type Resources = Record<string, unknown>;

/** `onHost`: the "guest" is the host's own kernel. Throws Unsupported naming the field. */
export function translateResources(resources: Resources, { onHost = false }: { onHost?: boolean } = {}): Resources {
  const { cpu, blockIO, hugepageLimits, network, rdma, ...rest } = resources;
  const ofHost = Object.entries({ blockIO, network, rdma }).filter(([, value]) => hasContent(value));
  const pages = (hugepageLimits as { limit?: number; pageSize?: string }[] | null) ?? [];
  const wanted = pages.find((one) => (one.limit ?? 0) > 0);
  if (onHost) {
    const all = { ...rest, ...Object.fromEntries(ofHost), ...(wanted ? { hugepageLimits } : {}) };
    return { ...withoutNull(all), ...(cpu ? { cpu: withoutNull(cpu as Resources) } : {}) };
  }
  for (const [field] of ofHost) throw refused(`linux.resources.${field}`, 'it names things of the host');
  if (wanted) throw refused(`linux.resources.hugepageLimits ${wanted.pageSize}`, 'guests have no huge pages to give');
  return { ...withoutNull(rest), ...(cpu ? { cpu: translateCpu(cpu as Resources) } : {}) };
}

function translateCpu(cpu: Resources): Resources {
  const { cpus, mems, realtimeRuntime, realtimePeriod, ...rest } = cpu;
  if (cpus) throw refused('linux.resources.cpu.cpus', 'a machine does not see the CPUs of its host');
  if (mems) throw refused('linux.resources.cpu.mems', 'a machine does not see the memory nodes of its host');
  if (realtimeRuntime || realtimePeriod) throw refused('linux.resources.cpu.realtimeRuntime', 'cgroup v2 has none');
  return withoutNull(rest);
}

function hasContent(value: unknown): boolean {
  if (!value || typeof value !== 'object') return Boolean(value);
  return Object.values(value).some((item) => (Array.isArray(item) ? item.length > 0 : Boolean(item)));
}

const withoutNull = (value: Resources): Resources =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null));
