/**
 * From the slices there are to the slices there should be, with as few writes as may be: an endpoint stays in its slice, new ones fill
 * slices with room, and what is empty goes. Pure.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Endpoint, EndpointSlice } from 'kubernetes-types/discovery/v1.js';
import type { EndpointGroup } from './pod-endpoints.ts';

export type SliceObject = EndpointSlice & KubeObject;

/** kube-controller-manager's --max-endpoints-per-slice. */
const maxPerSlice = 100;

/** What all slices of one Service have alike. */
export interface SliceTemplate {
  namespace: string;
  generateName: string;
  labels: Record<string, string>;
  ownerReferences: NonNullable<KubeObject['metadata']>['ownerReferences'];
}

export interface SlicePlan {
  create: SliceObject[];
  update: SliceObject[];
  remove: SliceObject[];
}

/** With `placeholder` a Service without endpoints has one empty slice, which tells that somebody has looked. */
export function planSlices(options: {
  groups: EndpointGroup[];
  existing: SliceObject[];
  template: SliceTemplate;
  placeholder: boolean;
}): SlicePlan {
  const { existing, template, placeholder } = options;
  const full = options.groups.filter(({ endpoints }) => endpoints.length > 0);
  const groups = full.length > 0 || !placeholder ? full : [{ addressType: 'IPv4' as const, ports: [], endpoints: [] }];
  const plan: SlicePlan = { create: [], update: [], remove: [] };
  const unused = new Set(existing.filter(({ metadata }) => !metadata?.deletionTimestamp));
  for (const group of groups) {
    const fitting = [...unused].filter((slice) => fits(slice, group));
    for (const slice of fitting) unused.delete(slice);
    planGroup(group, fitting, template, plan);
  }
  plan.remove.push(...unused);
  return plan;
}

function fits(slice: SliceObject, { addressType, ports }: EndpointGroup): boolean {
  return slice.addressType === addressType && equalJson(slice.ports ?? [], ports);
}

function planGroup(group: EndpointGroup, slices: SliceObject[], template: SliceTemplate, plan: SlicePlan): void {
  const missing = new Map(group.endpoints.map((endpoint) => [identityOf(endpoint), endpoint]));
  const kept = slices.map((slice) => ({ slice, endpoints: [] as Endpoint[] }));
  for (const { slice, endpoints } of kept) {
    for (const endpoint of slice.endpoints ?? []) {
      const wanted = missing.get(identityOf(endpoint));
      if (!wanted) continue;
      endpoints.push(wanted);
      missing.delete(identityOf(endpoint));
    }
  }
  const rest = [...missing.values()];
  for (const { endpoints } of kept) endpoints.push(...rest.splice(0, Math.max(0, maxPerSlice - endpoints.length)));
  const isPlaceholder = group.endpoints.length === 0;
  for (const [i, { slice, endpoints }] of kept.entries()) {
    if (endpoints.length === 0 && !(isPlaceholder && i === 0)) plan.remove.push(slice);
    else if (!isAsWanted(slice, endpoints, template)) plan.update.push(rewritten(slice, endpoints, template));
  }
  if (isPlaceholder && kept.length === 0) plan.create.push(newSlice(group, [], template));
  while (rest.length > 0) plan.create.push(newSlice(group, rest.splice(0, maxPerSlice), template));
}

function identityOf({ addresses, targetRef }: Endpoint): string {
  return JSON.stringify([addresses, targetRef?.uid ?? '']);
}

function isAsWanted({ endpoints, metadata }: SliceObject, wanted: Endpoint[], template: SliceTemplate): boolean {
  return equalJson(endpoints ?? [], wanted) && equalJson(metadata?.labels ?? {}, template.labels);
}

function rewritten(slice: SliceObject, endpoints: Endpoint[], { labels }: SliceTemplate): SliceObject {
  return { ...slice, metadata: { ...slice.metadata, labels }, endpoints } as SliceObject;
}

function newSlice({ addressType, ports }: EndpointGroup, endpoints: Endpoint[], template: SliceTemplate): SliceObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...template },
    addressType,
    ports,
    endpoints,
  } as SliceObject;
}
