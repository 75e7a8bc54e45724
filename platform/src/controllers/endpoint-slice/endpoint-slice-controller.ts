/**
 * Keeps the EndpointSlices and the Endpoints of every Service true to its Pods. Owns the objects it labels as its own; slices that others
 * manage are left alone, and Endpoints kept by hand for a Service without a selector are mirrored into slices.
 *
 *   Service, Pod, Endpoints, EndpointSlice ──changed──▶ queue of services ──▶ plan (pure) ──▶ create, update, delete
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import type { SharedInformers } from '../informer/shared-informers.ts';
import { type EndpointsObject, endpointsObject, managedEndpoints } from './endpoints-object.ts';
import { isMirrored, mirroredGroups } from './mirrored-groups.ts';
import { planSlices, type SliceObject, type SlicePlan, type SliceTemplate } from './plan-slices.ts';
import { endpointGroups, type PodObject, type ServiceObject } from './pod-endpoints.ts';

const serviceLabel = 'kubernetes.io/service-name';
const managerLabel = 'endpointslice.kubernetes.io/managed-by';
const headlessLabel = 'service.kubernetes.io/headless';
const manager = 'endpointslice-controller.k8s.io';
const mirror = 'endpointslicemirroring-controller.k8s.io';
/** How soon to look again while the copy is behind our own writes. */
const behindMs = 10;

export interface EndpointSliceOptions {
  client: KubeClient;
  informers: SharedInformers;
  log: Logger;
  clock: Clock;
}

export class EndpointSliceController {
  readonly #client: KubeClient;
  readonly #queue: WorkQueue;
  readonly #services: SharedInformer<ServiceObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #slices: SharedInformer<SliceObject>;
  readonly #endpoints: SharedInformer<EndpointsObject>;
  /** Service to the versions of our last writes for it: a copy older than them would make us write twice. */
  readonly #written = new Map<string, { slices: number; endpoints: number }>();
  #unsubscribe: (() => void)[] = [];

  constructor(options: EndpointSliceOptions) {
    const { client, informers } = options;
    this.#client = client;
    this.#services = informers.of<ServiceObject>(resources.services);
    this.#pods = informers.of<PodObject>(resources.pods);
    this.#slices = informers.of<SliceObject>(resources.endpointslices);
    this.#endpoints = informers.of<EndpointsObject>(resources.endpoints);
    this.#queue = new WorkQueue({ ...options, work: (key) => this.#sync(key) });
  }

  async start(): Promise<void> {
    const all = [this.#services, this.#pods, this.#slices, this.#endpoints];
    await Promise.all(all.map((informer) => informer.start()));
    const byName = ({ object }: { object: KubeObject }) => this.#queue.add(keyOf(object, object.metadata?.name));
    this.#unsubscribe = [
      this.#services.subscribe(byName),
      this.#endpoints.subscribe(byName),
      this.#slices.subscribe(({ object }) => {
        const name = object.metadata?.labels?.[serviceLabel];
        if (name && isOurs(object)) this.#queue.add(keyOf(object, name));
      }),
      this.#pods.subscribe(({ object, previous }) => this.#enqueueOf(object, previous)),
    ];
  }

  async close(): Promise<void> {
    for (const stop of this.#unsubscribe) stop();
    await this.#queue.close();
  }

  /** Services that select the Pod, or did before it was changed. */
  #enqueueOf(pod: PodObject, previous: PodObject | undefined): void {
    for (const service of this.#services.list(pod.metadata?.namespace)) {
      const selector = Object.entries(service.spec?.selector ?? {});
      if (selector.length === 0) continue;
      const matches = (one: PodObject | undefined) =>
        one !== undefined && selector.every(([key, value]) => one.metadata?.labels?.[key] === value);
      if (matches(pod) || matches(previous)) this.#queue.add(keyOf(service, service.metadata?.name));
    }
  }

  async #sync(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const service = this.#services.get(name, namespace);
    const endpoints = this.#endpoints.get(name, namespace);
    if (this.#isBehind(key)) return this.#queue.addAfter(key, behindMs);
    const existing = this.#slices.list(namespace).filter(({ metadata }) => metadata?.labels?.[serviceLabel] === name);
    const ours = (who: string) => existing.filter(({ metadata }) => metadata?.labels?.[managerLabel] === who);
    const selects = service !== undefined && Object.keys(service.spec?.selector ?? {}).length > 0;
    const isLive = service !== undefined && !service.metadata?.deletionTimestamp;
    if (isLive && selects && service.spec?.type !== 'ExternalName') {
      const pods = this.#pods.list(namespace);
      const template = templateOf(service, service, 'Service', manager);
      const groups = endpointGroups(service, pods);
      await this.#carryOut(key, planSlices({ groups, existing: ours(manager), template, placeholder: true }));
      await this.#writeEndpoints(key, endpointsObject(service, pods), endpoints);
    } else {
      await this.#carryOut(key, { create: [], update: [], remove: ours(manager) });
      if (endpoints && isManaged(endpoints) && !selects) await this.#delete(resources.endpoints, endpoints);
    }
    const isKept = isLive && !selects && endpoints && !isManaged(endpoints) && isMirrored(endpoints);
    const plan: SlicePlan = isKept
      ? planSlices({
          groups: mirroredGroups(endpoints),
          existing: ours(mirror),
          template: templateOf(service, endpoints, 'Endpoints', mirror),
          placeholder: false,
        })
      : { create: [], update: [], remove: ours(mirror) };
    await this.#carryOut(key, plan);
    if (!service) this.#written.delete(key);
  }

  #isBehind(key: string): boolean {
    const { slices, endpoints } = this.#written.get(key) ?? { slices: 0, endpoints: 0 };
    return this.#slices.seen < slices || this.#endpoints.seen < endpoints;
  }

  async #carryOut(key: string, { create, update, remove }: SlicePlan): Promise<void> {
    for (const slice of create) {
      const { namespace } = slice.metadata!;
      this.#note(key, 'slices', await this.#client.create(resources.endpointslices, slice, { namespace }));
    }
    for (const slice of update) this.#note(key, 'slices', await this.#client.update(resources.endpointslices, slice));
    for (const slice of remove) await this.#delete(resources.endpointslices, slice);
  }

  async #writeEndpoints(key: string, wanted: EndpointsObject, there: EndpointsObject | undefined): Promise<void> {
    const { namespace } = wanted.metadata!;
    if (!there) {
      this.#note(key, 'endpoints', await this.#client.create(resources.endpoints, wanted, { namespace }));
      return;
    }
    const same =
      equalJson(there.subsets ?? [], wanted.subsets ?? []) &&
      equalJson(there.metadata?.labels ?? {}, wanted.metadata?.labels ?? {});
    if (same) return;
    const metadata = { ...there.metadata, ...wanted.metadata };
    this.#note(
      key,
      'endpoints',
      await this.#client.update(resources.endpoints, { ...wanted, metadata } as EndpointsObject),
    );
  }

  #note(key: string, what: 'slices' | 'endpoints', { metadata }: KubeObject): void {
    const before = this.#written.get(key) ?? { slices: 0, endpoints: 0 };
    const version = Number(metadata?.resourceVersion) || 0;
    this.#written.set(key, { ...before, [what]: Math.max(before[what], version) });
  }

  async #delete(ref: (typeof resources)['endpoints' | 'endpointslices'], { metadata }: KubeObject): Promise<void> {
    const { name = '', namespace, uid } = metadata ?? {};
    try {
      await this.#client.delete(ref, name, { namespace, preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

const keyOf = ({ metadata }: KubeObject, name = ''): string => `${metadata?.namespace ?? ''}/${name}`;

const isManaged = ({ metadata }: EndpointsObject): boolean =>
  Object.entries(managedEndpoints).every(([key, value]) => metadata?.labels?.[key] === value);

const isOurs = ({ metadata }: SliceObject): boolean =>
  [manager, mirror].includes(metadata?.labels?.[managerLabel] ?? '');

function templateOf(service: ServiceObject, owner: KubeObject, kind: string, who: string): SliceTemplate {
  const { name = '', namespace = '' } = service.metadata ?? {};
  return {
    namespace,
    generateName: `${name}-`,
    labels: {
      ...owner.metadata?.labels,
      [serviceLabel]: name,
      [managerLabel]: who,
      ...(service.spec?.clusterIP === 'None' && { [headlessLabel]: '' }),
    },
    ownerReferences: [
      {
        apiVersion: 'v1',
        kind,
        name: owner.metadata?.name ?? '',
        uid: owner.metadata?.uid ?? '',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}
