/**
 * The Service `kubernetes` in `default`, by which programs find the API server, with its Endpoints and EndpointSlice. Its cluster address
 * is the one at which Pods do reach the server (their KUBERNETES_SERVICE_HOST), so it works although no traffic to other Services is
 * carried yet. Made when missing, put right when changed.
 */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import type { SharedInformers } from '../informer/shared-informers.ts';

const name = 'kubernetes';
const namespace = 'default';
/** Where Pods reach the server, whatever port it listens at. */
const servicePort = 443;

export interface KubernetesServiceOptions {
  client: KubeClient;
  informers: SharedInformers;
  log: Logger;
  clock: Clock;
  /** The server's address as Pods reach it, and the port it listens at there. */
  apiServer: { host: string; port: number };
}

interface Wanted {
  ref: ResourceRef;
  object: KubeObject & Record<string, unknown>;
  /** Fields by which what is there is told right or wrong. */
  compared: string[];
}

export class KubernetesService {
  readonly #options: KubernetesServiceOptions;
  readonly #wanted: Wanted[];
  readonly #queue: WorkQueue;
  #unsubscribe: (() => void)[] = [];

  constructor(options: KubernetesServiceOptions) {
    this.#options = options;
    this.#wanted = wantedObjects(options.apiServer);
    this.#queue = new WorkQueue({ ...options, work: () => this.#ensure() });
  }

  async start(): Promise<void> {
    const informers = this.#wanted.map(({ ref }) => this.#options.informers.of(ref));
    await Promise.all(informers.map((informer) => informer.start()));
    this.#unsubscribe = informers.map((informer) =>
      informer.subscribe(({ object }) => {
        if (object.metadata?.name === name && object.metadata.namespace === namespace) this.#queue.add(name);
      }),
    );
    this.#queue.add(name);
  }

  async close(): Promise<void> {
    for (const stop of this.#unsubscribe) stop();
    await this.#queue.close();
  }

  async #ensure(): Promise<void> {
    for (const wanted of this.#wanted) await this.#ensureOne(wanted);
  }

  async #ensureOne({ ref, object, compared }: Wanted): Promise<void> {
    const { client } = this.#options;
    const there = await client.get<KubeObject & Record<string, unknown>>(ref, name, namespace).catch((error) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    if (!there) {
      await client.create(ref, object, { namespace });
    } else if (ref === resources.services && addressOf(there) !== addressOf(object)) {
      // An address cannot be changed; the watch brings us back to make it anew.
      await client.delete(ref, name, { namespace, preconditions: { uid: there.metadata?.uid } });
    } else if (!compared.every((field) => equalJson(there[field], object[field]))) {
      if (ref !== resources.services) await client.update(ref, { ...there, ...object, metadata: there.metadata });
    }
  }
}

const addressOf = (service: Record<string, unknown>) => (service.spec as { clusterIP?: string } | undefined)?.clusterIP;

function wantedObjects({ host, port }: { host: string; port: number }): Wanted[] {
  const metadata = { name, namespace };
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  return [
    {
      ref: resources.services,
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { ...metadata, labels: { component: 'apiserver', provider: 'kubernetes' } },
        spec: {
          clusterIP: host,
          ports: [{ name: 'https', port: servicePort, protocol: 'TCP', targetPort: port }],
        },
      },
      compared: [],
    },
    {
      ref: resources.endpoints,
      object: {
        apiVersion: 'v1',
        kind: 'Endpoints',
        // The slice is made here too: nothing is to be mirrored.
        metadata: { ...metadata, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
        subsets: [{ addresses: [{ ip: host }], ports }],
      },
      compared: ['subsets'],
    },
    {
      ref: resources.endpointslices,
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [host], conditions: { ready: true } }],
        ports,
      },
      compared: ['endpoints', 'ports'],
    },
  ];
}
