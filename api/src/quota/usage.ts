/**
 * What one object counts for against a ResourceQuota, by the names that stand in spec.hard (pkg/quota/v1/evaluator/core).
 * Admission adds it up before an object is made, the quota controller over all that are there: both ask here.
 */
import type { PersistentVolumeClaim, Pod, Service } from 'kubernetes-types/core/v1.js';
import type { KubeObject, ResourceRef } from '../client.ts';
import { Quantity } from '../quantity.ts';
import { type Amounts, podAmounts } from './amounts.ts';

type Resource = Pick<ResourceRef, 'group' | 'resource'>;

const one = new Quantity(1_000_000_000n);
const number = (count: number) => new Quantity(BigInt(count) * 1_000_000_000n);

/** Kinds of the core group that may be counted by their bare name. */
export const countedByName = [
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
];

export function usageOf(ref: Resource, object: KubeObject): Amounts {
  const counted = { [`count/${ref.resource}${ref.group ? `.${ref.group}` : ''}`]: one };
  if (ref.group !== '') return counted;
  switch (ref.resource) {
    case 'pods':
      return { ...counted, ...podUsage(object as Pod) };
    case 'services':
      return { ...counted, services: one, ...serviceUsage(object as Service) };
    case 'persistentvolumeclaims':
      return { ...counted, persistentvolumeclaims: one, ...claimUsage(object as PersistentVolumeClaim) };
    default:
      return countedByName.includes(ref.resource) ? { ...counted, [ref.resource]: one } : counted;
  }
}

/** A Pod that has ended uses nothing, though it is still an object. */
function podUsage(pod: Pod): Amounts {
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return {};
  const usage: Amounts = { pods: one };
  for (const [name, amount] of Object.entries(podAmounts(pod, 'requests'))) {
    usage[`requests.${name}`] = amount;
    if (['cpu', 'memory', 'ephemeral-storage'].includes(name) || name.startsWith('hugepages-')) usage[name] = amount;
  }
  for (const [name, amount] of Object.entries(podAmounts(pod, 'limits'))) usage[`limits.${name}`] = amount;
  return usage;
}

function serviceUsage({ spec }: Service): Amounts {
  const balanced = spec?.type === 'LoadBalancer';
  const nodePorts = spec?.type === 'NodePort' || (balanced && spec?.allocateLoadBalancerNodePorts !== false);
  return {
    'services.loadbalancers': number(balanced ? 1 : 0),
    'services.nodeports': number(nodePorts ? (spec?.ports?.length ?? 0) : 0),
  };
}

function claimUsage({ spec }: PersistentVolumeClaim): Amounts {
  const storage = spec?.resources?.requests?.storage;
  const amount = storage === undefined ? number(0) : Quantity.parse(storage);
  const ofClass = spec?.storageClassName ? `${spec.storageClassName}.storageclass.storage.k8s.io/` : undefined;
  return {
    'requests.storage': amount,
    ...(ofClass ? { [`${ofClass}requests.storage`]: amount, [`${ofClass}persistentvolumeclaims`]: one } : {}),
  };
}

/** Which kind a name of spec.hard counts. */
export function countedKind(name: string): Resource {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return { resource, group: group.join('.') };
  }
  const core = (resource: string) => ({ resource, group: '' });
  if (name.startsWith('services')) return core('services');
  if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/'))
    return core('persistentvolumeclaims');
  return countedByName.includes(name) ? core(name) : core('pods');
}
