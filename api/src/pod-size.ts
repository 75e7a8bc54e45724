/**
 * How large a Pod is: what the scheduler counts, what its machine gets, what it is billed for.
 * Owns the arithmetic of requests, limits, init containers, sidecars and overhead. Units: millicores and bytes.
 */
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { tryParseQuantity } from './quantity.ts';

export interface Size {
  cpuMillicores: number;
  memoryBytes: number;
  /** 0: not said. */
  ephemeralStorageBytes: number;
}

/** What containers that name no figure get, all of one Pod together. */
export const defaultSize: Size = { cpuMillicores: 500, memoryBytes: 512 * 1024 * 1024, ephemeralStorageBytes: 0 };

type Resource = 'cpu' | 'memory' | 'ephemeral-storage';
type Figure = (container: Container, resource: Resource) => number | undefined;

/** What the scheduler counts: requests (a limit stands in for one that is missing) and overhead. */
export const requestedSize = (pod: Pod): Size =>
  sizeBy(pod, (container, resource) => {
    const { requests, limits } = container.resources ?? {};
    return parse(resource, requests?.[resource] ?? limits?.[resource]);
  });

/** What the Pod's machine is made with, overhead included: limits, else requests. */
export const machineSize = (pod: Pod): Size => sizeBy(pod, machineFigure);

/** The same without overhead: what the containers may use together. */
export const containersSize = (pod: Pod): Size => sizeBy(pod, machineFigure, false);

const machineFigure: Figure = (container, resource) => {
  const { requests, limits } = container.resources ?? {};
  return parse(resource, limits?.[resource] ?? requests?.[resource]);
};

/** Which of CPU and memory the Pod leaves to the default, for one container or all. */
export function defaultedResources(pod: Pod): ('cpu' | 'memory')[] {
  const lasting = lastingContainers(pod);
  return (['cpu', 'memory'] as const).filter((resource) =>
    lasting.some((container) => machineFigure(container, resource) === undefined),
  );
}

/** Spec.overhead (PodOverhead). */
export const overheadSize = (pod: Pod): Size => ({
  cpuMillicores: parse('cpu', pod.spec?.overhead?.cpu) ?? 0,
  memoryBytes: parse('memory', pod.spec?.overhead?.memory) ?? 0,
  ephemeralStorageBytes: parse('ephemeral-storage', pod.spec?.overhead?.['ephemeral-storage']) ?? 0,
});

function sizeBy(pod: Pod, figure: Figure, withOverhead = true): Size {
  const overhead = overheadSize(pod);
  const sum = (resource: Resource, field: keyof Size) =>
    resourceOf(pod, resource, figure, defaultSize[field]) + (withOverhead ? overhead[field] : 0);
  return {
    cpuMillicores: sum('cpu', 'cpuMillicores'),
    memoryBytes: sum('memory', 'memoryBytes'),
    ephemeralStorageBytes: sum('ephemeral-storage', 'ephemeralStorageBytes'),
  };
}

/** As kube-scheduler's PodRequests: main containers and sidecars side by side, or an init container beside the sidecars before it. */
function resourceOf(pod: Pod, resource: Resource, figure: Figure, fallback: number): number {
  const lasting = lastingContainers(pod);
  const silent = lasting.some((container) => figure(container, resource) === undefined);
  const together = total(lasting, resource, figure) + (silent ? fallback : 0);
  let sidecars = 0;
  let peak = 0;
  for (const container of pod.spec?.initContainers ?? []) {
    const own = figure(container, resource) ?? 0;
    if (container.restartPolicy === 'Always') sidecars += own;
    else peak = Math.max(peak, sidecars + own);
  }
  return Math.max(together, peak);
}

const total = (containers: Container[], resource: Resource, figure: Figure): number =>
  containers.reduce((sum, container) => sum + (figure(container, resource) ?? 0), 0);

const lastingContainers = (pod: Pod): Container[] => [
  ...(pod.spec?.containers ?? []),
  ...(pod.spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always'),
];

/** A figure that is no quantity counts as not said: validation has refused it long before. */
function parse(resource: Resource, text: string | undefined): number | undefined {
  const quantity = tryParseQuantity(text);
  return resource === 'cpu' ? quantity?.milliValue() : quantity?.value();
}
