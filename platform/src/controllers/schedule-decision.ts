/**
 * Which node a Pod goes to, and if none, why: pure. Counts what the Pods of a node ask for (requests and overhead; the default size where a
 * Pod says nothing) against what the node can give, and words a refusal as kube-scheduler does.
 */
import { hostPortsCollide, hostPortsTaken } from '@sampan/api/pod-host-ports.ts';
import { defaultedResources, defaultSize, type Size } from '@sampan/api/pod-size.ts';
import {
  matchesSelectors,
  type NodeObject,
  nodePreference,
  type PodObject,
  untoleratedTaint,
  unwelcomingTaints,
} from './node-selection.ts';
import { type NamespaceLabels, PodAffinity } from './pod-affinity.ts';
import { PodSpread } from './pod-spread.ts';

export interface ScheduleInput {
  pod: PodObject;
  nodes: NodeObject[];
  /** Pods already bound and not ended. */
  bound: PodObject[];
  needs: (pod: PodObject) => Size;
  allocatable: (node: NodeObject) => Size & { pods: number };
  namespaceLabels: NamespaceLabels;
}

export type ScheduleDecision = { node: string } | { message: string };

export function schedule(input: ScheduleInput): ScheduleDecision {
  const refusals = new Map<string, number>();
  const affinity = new PodAffinity(input.pod, input);
  const spread = new PodSpread(input.pod, input);
  const fit: Fit[] = [];
  for (const node of input.nodes) {
    const { reasons, free } = examine(input, node);
    reasons.push(...[affinity, spread].flatMap((rule) => rule.refusal(node) ?? []));
    for (const reason of reasons) refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
    if (reasons.length > 0) continue;
    const unwelcome = unwelcomingTaints(input.pod, node);
    const liked = nodePreference(input.pod, node) + affinity.preference(node);
    fit.push({ node: node.metadata!.name!, unwelcome, liked, crowd: spread.crowd(node), free });
  }
  const [best] = fit.sort(byMerit);
  if (best) return { node: best.node };
  if (input.nodes.length === 0) return { message: 'no nodes available to schedule pods' };
  const reasons = [...refusals].map(([reason, count]) => `${count} ${reason}`).sort();
  return {
    message: `0/${input.nodes.length} nodes are available: ${reasons.join(', ')}.${sizeHint(input.pod, reasons)}`,
  };
}

/** What tells nodes apart that would take the Pod, weightiest first. */
interface Fit {
  node: string;
  unwelcome: number;
  liked: number;
  crowd: number;
  free: number;
}

function byMerit(a: Fit, b: Fit): number {
  // Two crowds without bound are no different.
  const crowd = a.crowd === b.crowd ? 0 : a.crowd - b.crowd;
  return a.unwelcome - b.unwelcome || b.liked - a.liked || crowd || b.free - a.free;
}

/** kubectl shows nothing of the size that a Pod without figures counts as. */
function sizeHint(pod: PodObject, reasons: string[]): string {
  const short = defaultedResources(pod).filter((resource) =>
    reasons.some((reason) => reason.endsWith(`Insufficient ${resource}`)),
  );
  const figures = { cpu: `${defaultSize.cpuMillicores}m`, memory: `${defaultSize.memoryBytes / 1024 ** 2}Mi` };
  const counted = short.map((resource) => `${resource}: ${figures[resource]}`).join(', ');
  return counted && ` Pods that name no size count as ${counted}; set resources.limits to choose.`;
}

function examine(input: ScheduleInput, node: NodeObject): { reasons: string[]; free: number } {
  const { pod } = input;
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready')?.status === 'True';
  const taint = untoleratedTaint(pod, node);
  const reasons: string[] = [];
  if (node.spec?.unschedulable) reasons.push('node(s) were unschedulable');
  if (!ready) reasons.push('node(s) were not ready');
  if (taint) reasons.push(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
  if (!matchesSelectors(pod, node)) reasons.push("node(s) didn't match Pod's node affinity/selector");
  const here = input.bound.filter((other) => other.spec?.nodeName === node.metadata?.name);
  if (hostPortsCollide(pod, here)) reasons.push(hostPortsTaken);
  const free = subtract(input.allocatable(node), here.map(input.needs));
  const wanted = input.needs(pod);
  if (here.length >= input.allocatable(node).pods) reasons.push('Too many pods');
  if (wanted.cpuMillicores > free.cpuMillicores) reasons.push('Insufficient cpu');
  if (wanted.memoryBytes > free.memoryBytes) reasons.push('Insufficient memory');
  if (wanted.ephemeralStorageBytes > free.ephemeralStorageBytes) reasons.push('Insufficient ephemeral-storage');
  return { reasons, free: free.memoryBytes };
}

function subtract(from: Size, taken: Size[]): Size {
  const sum = (pick: (amounts: Size) => number) => taken.reduce((total, amounts) => total + pick(amounts), 0);
  return {
    cpuMillicores: from.cpuMillicores - sum((amounts) => amounts.cpuMillicores),
    memoryBytes: from.memoryBytes - sum((amounts) => amounts.memoryBytes),
    ephemeralStorageBytes: from.ephemeralStorageBytes - sum((amounts) => amounts.ephemeralStorageBytes),
  };
}
