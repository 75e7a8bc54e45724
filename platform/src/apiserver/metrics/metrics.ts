/**
 * metrics.k8s.io/v1beta1: what Pods and Nodes use now, for `kubectl top` and whoever scales by it. The wire format and the rules of who is left out
 * are metrics-server's: a Pod shows once every running container of it has figures.
 */
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { TableColumn } from '@sampan/api/kind.ts';
import { Quantity } from '@sampan/api/quantity.ts';
import { toTime } from '../../base/clock.ts';
import { badRequest, notFound } from '../meta/failures.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import type { Stored } from '../meta/object.ts';
import type { VirtualKind, VirtualSelection } from '../meta/virtual.ts';
import type { VerbContext } from '../verbs/context.ts';
import { list } from '../verbs/list.ts';
import type { NodeUsages } from './node-usages.ts';
import type { Summary, Usage } from './usage-source.ts';

interface ResourceUsage {
  cpu: string;
  memory: string;
}

interface ContainerMetrics {
  name: string;
  usage: ResourceUsage;
}

export interface PodMetrics extends KubeObject {
  timestamp: string;
  window: string;
  containers: ContainerMetrics[];
}

export interface NodeMetrics extends KubeObject {
  timestamp: string;
  window: string;
  usage: ResourceUsage;
}

const groupVersion = { group: 'metrics.k8s.io', version: 'v1beta1' };
export const podMetricsRef = { ...groupVersion, resource: 'pods', namespaced: true };
export const nodeMetricsRef = { ...groupVersion, resource: 'nodes', namespaced: false };

/** Their singular names stay empty: `pod` and `node` mean the core group's. */
const unnamed = { singular: '', shortNames: [], categories: [] };

export function metricsKinds(usages: NodeUsages): VirtualKind[] {
  return [
    virtualKind({
      ref: podMetricsRef,
      kind: 'PodMetrics',
      usageOf: (object) => (object as PodMetrics).containers.map(({ usage }) => usage),
      async list(context, selection) {
        const { items } = await list(context, context.kinds.of(resources.pods), selection);
        if (items.length === 0) return [];
        return podMetrics(items, await usages.of(new Set(items.map(nodeOf).filter((name) => name !== ''))));
      },
    }),
    virtualKind({
      ref: nodeMetricsRef,
      kind: 'NodeMetrics',
      usageOf: (object) => [(object as NodeMetrics).usage],
      async list(context, { labelSelector, fieldSelector }) {
        const { items } = await list(context, context.kinds.of(resources.nodes), { labelSelector, fieldSelector });
        if (items.length === 0) return [];
        return nodeMetrics(items, await usages.of(new Set(items.map(({ metadata }) => metadata.name ?? ''))));
      },
    }),
  ];
}

interface MetricsKind {
  ref: VirtualKind['ref'];
  kind: string;
  /** What the row of a Table adds up. */
  usageOf(object: KubeObject): ResourceUsage[];
  list(context: VerbContext, selection: VirtualSelection): Promise<KubeObject[]>;
}

function virtualKind({ ref, kind, usageOf, list: listMetrics }: MetricsKind): VirtualKind {
  return {
    ...unnamed,
    ref,
    kind,
    columns,
    row: (object) => [
      object.metadata?.name ?? '',
      total(usageOf(object).map(({ cpu }) => cpu)),
      total(usageOf(object).map(({ memory }) => memory)),
      (object as PodMetrics | NodeMetrics).window,
    ],
    list: listMetrics,
    async get(context, name, namespace) {
      if (ref.namespaced && !namespace) throw badRequest(`the namespace of ${kind} ${name} must be given`);
      const [found] = await listMetrics(context, { namespace, fieldSelector: `metadata.name=${name}` });
      const full = namespace ? `${namespace}/${name}` : name;
      if (!found) throw notFound({ group: ref.group, resource: kind.toLowerCase() }, full);
      return found;
    },
  };
}

/** Of a node's figures only those of Pods that are bound to it are heard. */
const nodeOf = (pod: Stored): string => (pod as { spec?: { nodeName?: string } }).spec?.nodeName ?? '';

type UsageOf = (nodeName: string) => Usage | undefined;

function podMetrics(pods: Stored[], usageOf: UsageOf): PodMetrics[] {
  const byUid = new Map<Usage, Map<string, Summary['pods'][number]['containers']>>();
  const runningOf = (usage: Usage, uid: string) => {
    const known = byUid.get(usage) ?? new Map(usage.summary.pods.map((one) => [one.podRef.uid, one.containers]));
    byUid.set(usage, known);
    return known.get(uid) ?? [];
  };
  return pods.flatMap((pod) => {
    const usage = usageOf(nodeOf(pod));
    if (!usage) return [];
    const running = runningOf(usage, pod.metadata.uid ?? '');
    const containers = running.flatMap(({ name, cpu, memory }) => {
      const amounts = amountsOf(cpu.usageNanoCores, memory.workingSetBytes);
      return amounts ? [{ name, usage: amounts }] : [];
    });
    // A sum without one of them would be read as the whole.
    if (containers.length === 0 || containers.length < running.length) return [];
    return [{ ...headOf('PodMetrics', pod, usage), containers }];
  });
}

function nodeMetrics(nodes: Stored[], usageOf: UsageOf): NodeMetrics[] {
  return nodes.flatMap((node) => {
    const usage = usageOf(node.metadata.name ?? '');
    if (!usage || usage.summary.node.nodeName !== node.metadata.name) return [];
    const { cpu, memory } = usage.summary.node;
    const amounts = amountsOf(cpu.usageNanoCores, memory.workingSetBytes);
    return amounts ? [{ ...headOf('NodeMetrics', node, usage), usage: amounts }] : [];
  });
}

function headOf(kind: string, of: Stored, { atMs, windowMs }: Usage) {
  const { name, namespace, labels } = of.metadata;
  const timestamp = toTime(atMs);
  return {
    kind,
    apiVersion: apiVersionOf(groupVersion),
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      creationTimestamp: timestamp,
      ...(labels ? { labels } : {}),
    },
    timestamp,
    // A Go duration; it stays below a minute, so seconds are all there is to write.
    window: `${Math.round(windowMs) / 1000}s`,
  };
}

function amountsOf(nanoCores: number | undefined, bytes: number | undefined): ResourceUsage | undefined {
  if (nanoCores === undefined || bytes === undefined) return undefined;
  const cpu = new Quantity(BigInt(Math.round(nanoCores))).toString();
  const memory = new Quantity(BigInt(Math.round(bytes)) * 1_000_000_000n, 'BinarySI').toString();
  return { cpu, memory };
}

function total(amounts: string[]): string {
  return amounts
    .map((text) => Quantity.parse(text))
    .reduce((sum, one) => sum.add(one), new Quantity(0n))
    .toString();
}

const column = (name: string, description: string, format = ''): TableColumn => ({
  name,
  type: 'string',
  format,
  description,
  priority: 0,
});

const columns = [
  column('Name', 'Of the Pod or Node measured', 'name'),
  column('CPU', 'Cores in use, on the average of the window'),
  column('Memory', 'Bytes in use that cannot be had back under pressure'),
  column('Window', 'Time up to the timestamp that CPU is the average of'),
];
