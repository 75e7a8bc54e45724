/**
 * Keeps the taints of Nodes that follow from their conditions (kube-controller-manager's node lifecycle): a node short of disk, memory or
 * processes takes no new Pods but those that tolerate it. Taints under other keys are others'. That a node is not ready is the scheduler's to see.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Node, Taint } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { WorkQueue } from '../base/work-queue.ts';
import type { SharedInformer } from './informer/shared-informer.ts';
import type { SharedInformers } from './informer/shared-informers.ts';

type NodeObject = Node & KubeObject;

/** A Node's condition to the key of its taint (core/v1 well_known_taints.go). */
const keys: Record<string, string> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
};

export class NodeTaints {
  readonly #client: KubeClient;
  readonly #nodes: SharedInformer<NodeObject>;
  readonly #queue: WorkQueue;

  constructor(options: { client: KubeClient; informers: SharedInformers; log: Logger; clock: Clock }) {
    this.#client = options.client;
    this.#nodes = options.informers.of<NodeObject>(resources.nodes);
    this.#queue = new WorkQueue({ ...options, work: (name) => this.#reconcile(name) });
  }

  async start(): Promise<void> {
    this.#nodes.subscribe(({ type, object }) => {
      if (type === 'set' && wantedTaints(object)) this.#queue.add(object.metadata?.name ?? '');
    });
    await this.#nodes.start();
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #reconcile(name: string): Promise<void> {
    try {
      const node = await this.#client.get<NodeObject>(resources.nodes, name);
      const taints = wantedTaints(node);
      if (taints) await this.#client.update(resources.nodes, { ...node, spec: { ...node.spec, taints } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

/** The taints that the Node should have; undefined when it has them. */
export function wantedTaints(node: Node): Taint[] | undefined {
  const has = node.spec?.taints ?? [];
  const wanted = (node.status?.conditions ?? [])
    .filter(({ type, status }) => status === 'True' && keys[type] !== undefined)
    .map(({ type }) => keys[type]!);
  const isOurs = ({ key, effect }: Taint) => effect === 'NoSchedule' && Object.values(keys).includes(key);
  const ours = has.filter(isOurs).map(({ key }) => key);
  if (wanted.length === ours.length && wanted.every((key) => ours.includes(key))) return undefined;
  return [...has.filter((taint) => !isOurs(taint)), ...wanted.map((key) => ({ key, effect: 'NoSchedule' }))];
}
