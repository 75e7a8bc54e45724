/**
 * What every namespace holds: the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt` (the certificate Pods trust the API by).
 * Made when missing, the ConfigMap also put right when changed.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { ConfigMap, Namespace } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import { Informer } from '../base/informer.ts';
import type { Logger } from '../base/log.ts';
import { WorkQueue } from '../base/work-queue.ts';

const configMapName = 'kube-root-ca.crt';
const annotation = {
  'kubernetes.io/description': 'Contains a CA bundle that can be used to verify the API server of this instance.',
};

export class NamespaceDefaults {
  readonly #client: KubeClient;
  readonly #caCertificate: string;
  readonly #queue: WorkQueue;
  readonly #informers: { start(): Promise<void>; close(): Promise<void> }[];
  readonly #namespaces: Informer<Namespace & KubeObject>;

  constructor(options: { client: KubeClient; log: Logger; clock: Clock; caCertificate: string }) {
    this.#client = options.client;
    this.#caCertificate = options.caCertificate;
    this.#queue = new WorkQueue({ ...options, work: (name) => this.#fill(name) });
    const changed = ({ object }: { object: KubeObject }) =>
      this.#queue.add(object.metadata?.namespace ?? object.metadata?.name ?? '');
    this.#namespaces = new Informer<Namespace & KubeObject>({
      ...options,
      ref: resources.namespaces,
      onChange: changed,
    });
    const byName = (name: string) => ({ fieldSelector: `metadata.name=${name}` });
    this.#informers = [
      this.#namespaces,
      new Informer({ ...options, ref: resources.configmaps, select: byName(configMapName), onChange: changed }),
      new Informer({ ...options, ref: resources.serviceaccounts, select: byName('default'), onChange: changed }),
    ];
  }

  async start(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.start()));
  }

  async close(): Promise<void> {
    await Promise.all([this.#queue.close(), ...this.#informers.map((informer) => informer.close())]);
  }

  async #fill(namespace: string): Promise<void> {
    const object = this.#namespaces.get(namespace);
    if (!object || object.metadata?.deletionTimestamp) return;
    await this.#create(resources.serviceaccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    });
    const data = { 'ca.crt': this.#caCertificate };
    const made = await this.#create(resources.configmaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: configMapName, namespace, annotations: annotation },
      data,
    } as KubeObject);
    if (made) return;
    const there = await this.#client.get<ConfigMap & KubeObject>(resources.configmaps, configMapName, namespace);
    if (there.data?.['ca.crt'] !== this.#caCertificate)
      await this.#client.update(resources.configmaps, { ...there, data });
  }

  /** True when it was made now. */
  async #create(ref: (typeof resources)['configmaps' | 'serviceaccounts'], object: KubeObject): Promise<boolean> {
    try {
      await this.#client.create(ref, object, { namespace: object.metadata?.namespace });
      return true;
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return false;
      if (isReason(error, 'NotFound', 'Forbidden')) return true;
      throw error;
    }
  }
}
