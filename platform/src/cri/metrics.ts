/**
 * ListMetricDescriptors and ListPodSandboxMetrics: the runtime's statistics under the names that cAdvisor gave them, which dashboards know. CRI's
 * values are whole numbers, so CPU time is in whole seconds.
 */
import * as cri from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';

interface Source<Stats> {
  name: string;
  help: string;
  type: cri.MetricType;
  /** Keys beyond the container's. */
  keys?: string[];
  values?: (stats: Stats) => string[];
  read: (stats: Stats) => bigint | undefined;
}

const { COUNTER, GAUGE } = cri.MetricType;

const containerSources: Source<cri.ContainerStats>[] = [
  {
    name: 'container_cpu_usage_seconds_total',
    help: 'Cumulative CPU time consumed, in whole seconds',
    type: COUNTER,
    read: ({ cpu }) => wholeSeconds(cpu?.usageCoreNanoSeconds?.value),
  },
  {
    name: 'container_memory_working_set_bytes',
    help: 'Current working set in bytes',
    type: GAUGE,
    read: ({ memory }) => memory?.workingSetBytes?.value,
  },
  {
    name: 'container_memory_usage_bytes',
    help: 'Current memory usage in bytes, including all memory regardless of when it was accessed',
    type: GAUGE,
    read: ({ memory }) => memory?.usageBytes?.value,
  },
  {
    name: 'container_memory_rss',
    help: 'Size of RSS in bytes',
    type: GAUGE,
    read: ({ memory }) => memory?.rssBytes?.value,
  },
  {
    name: 'container_memory_failures_total',
    help: 'Cumulative count of page faults',
    type: COUNTER,
    keys: ['failure_type'],
    values: () => ['pgfault'],
    read: ({ memory }) => memory?.pageFaults?.value,
  },
  {
    name: 'container_fs_usage_bytes',
    help: 'Number of bytes that the container has written to its root',
    type: GAUGE,
    read: ({ writableLayer }) => writableLayer?.usedBytes?.value,
  },
];

const wholeSeconds = (nanos: bigint | undefined) => (nanos === undefined ? undefined : nanos / 1_000_000_000n);

const interfaceOf = ({ linux }: cri.PodSandboxStats) => linux?.network?.defaultInterface;
const network = (direction: 'receive' | 'transmit', what: 'bytes' | 'errors'): Source<cri.PodSandboxStats> => ({
  name: `container_network_${direction}_${what}_total`,
  help: `Cumulative count of ${what} ${direction === 'receive' ? 'received' : 'transmitted'}`,
  type: COUNTER,
  keys: ['interface'],
  values: (stats) => [interfaceOf(stats)?.name ?? ''],
  read: (stats) => {
    const { rxBytes, rxErrors, txBytes, txErrors } = interfaceOf(stats) ?? {};
    const found = direction === 'receive' ? { bytes: rxBytes, errors: rxErrors } : { bytes: txBytes, errors: txErrors };
    return found[what]?.value;
  },
});

const sandboxSources: Source<cri.PodSandboxStats>[] = [
  network('receive', 'bytes'),
  network('receive', 'errors'),
  network('transmit', 'bytes'),
  network('transmit', 'errors'),
  {
    name: 'container_processes',
    help: 'Number of processes of the Pod',
    type: GAUGE,
    read: ({ linux }) => linux?.process?.processCount?.value,
  },
];

/** Whose value it is; for a sandbox's own metrics the container's name is "POD", as cAdvisor has it. */
const identity = ['namespace', 'pod', 'container'];

export function listMetricDescriptors(): cri.ListMetricDescriptorsResponse {
  const sources = [...containerSources, ...sandboxSources] as Source<never>[];
  const descriptors = sources.map(({ name, help, keys = [] }) => ({ name, help, labelKeys: [...identity, ...keys] }));
  return { descriptors };
}

export async function listPodSandboxMetrics(
  runtime: Pick<Runtime, 'listPodSandboxStats'>,
): Promise<cri.ListPodSandboxMetricsResponse> {
  const { stats = [] } = await runtime.listPodSandboxStats({});
  return { podMetrics: stats.map(metricsOf) };
}

function metricsOf(stats: cri.PodSandboxStats): cri.PodSandboxMetrics {
  const { metadata, id } = stats.attributes ?? {};
  const labels = (container: string) => [metadata?.namespace ?? '', metadata?.name ?? '', container];
  const containers = stats.linux?.containers ?? [];
  return {
    podSandboxId: id,
    metrics: read(sandboxSources, stats, labels('POD')),
    containerMetrics: containers.map((container) => ({
      containerId: container.attributes?.id,
      metrics: read(containerSources, container, labels(container.attributes?.metadata?.name ?? '')),
    })),
  };
}

/** Without what the guest did not tell. A timestamp of 0 says that the value is of now. */
function read<Stats>(sources: Source<Stats>[], stats: Stats, labels: string[]): cri.Metric[] {
  return sources.flatMap(({ name, type, values, read: readValue }) => {
    const value = readValue(stats);
    if (value === undefined) return [];
    return [
      { name, timestamp: 0n, metricType: type, labelValues: [...labels, ...(values?.(stats) ?? [])], value: { value } },
    ];
  });
}
