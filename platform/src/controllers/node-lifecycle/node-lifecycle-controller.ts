/**
 * Watches over nodes: says of those that fell silent that they are lost, taints those that are not well, and evicts the Pods that do
 * not put up with it. Nodes that are no more are the Expiry's. What follows from what is decided in decide.ts.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import { toTime } from '../../base/clock.ts';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ControllerParts, unlessOutdated } from '../controller-options.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import type { NodeObject, PodObject } from '../node-selection.ts';
import { hasEnded } from '../pods/pod-facts.ts';
import { graceMs, leavesAtMs, lostConditions, readyStatus, wantedTaints } from './decide.ts';

/** kube-controller-manager's --node-monitor-period. */
const periodMs = 5_000;
const leaseNamespace = 'kube-node-lease';
const strategic = 'application/strategic-merge-patch+json';

interface Heard {
  /** What was heard last: when it changes, the node lives. Clocks of nodes are not trusted. */
  sign: string;
  /** On the clock that never goes back. */
  atMs: number;
}

export class NodeLifecycleController {
  readonly #parts: ControllerParts;
  readonly #client: KubeClient;
  readonly #nodes: SharedInformer<NodeObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #leases: SharedInformer<Lease & KubeObject>;
  readonly #queue: WorkQueue;
  readonly #events: EventRecorder;
  readonly #heard = new Map<string, Heard>();
  readonly #stop = new AbortController();
  #sinceMs = 0;
  #running: Promise<void> | undefined;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#client = parts.client;
    this.#nodes = parts.informers.of(resources.nodes);
    this.#pods = parts.informers.of(resources.pods);
    this.#leases = parts.informers.of(resources.leases);
    this.#queue = new WorkQueue({ ...parts, work: (name) => this.sync(name), concurrency: 4 });
    this.#events = createEventRecorder({ ...parts, component: 'node-controller' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#nodes.start(), this.#pods.start(), this.#leases.start()]);
    this.#sinceMs = this.#parts.clock.now();
    this.#nodes.subscribe(({ type, object }) => {
      const name = object.metadata?.name ?? '';
      if (type === 'removed') this.#heard.delete(name);
      else this.#queue.add(name);
    });
    this.#pods.subscribe(({ type, object, previous }) => {
      const name = object.spec?.nodeName;
      const isNew = type === 'set' && name && previous?.spec?.nodeName !== name;
      if (isNew && this.#nodes.get(name)?.spec?.taints?.length) this.#queue.add(name);
    });
    this.#running = this.#lookAround();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#running, this.#queue.close()]);
    await this.#events.flush();
  }

  /** One look at one node. */
  async sync(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (!node) return;
    const nowMs = this.#parts.clock.now();
    // Not the time of day: that leaps when a laptop wakes up.
    const isLost = this.#silentMs(node) > graceMs;
    const conditions = isLost ? lostConditions(node, nowMs) : undefined;
    if (conditions) {
      this.#tell(node, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      const status = { ...node.status, conditions };
      // The change comes back through the watch, and taints follow then.
      await unlessOutdated(this.#client.update(resources.nodes, { ...node, status }, { subresource: 'status' }));
      return;
    }
    const others = this.#nodes.list().filter((other) => other.metadata?.name !== name);
    const othersAreWell = others.some((other) => readyStatus(other) === 'True');
    const taints = wantedTaints(node, { othersAreWell, nowMs });
    if (taints) {
      await unlessOutdated(this.#client.update(resources.nodes, { ...node, spec: { ...node.spec, taints } }));
      return;
    }
    await this.#evict(node, nowMs);
  }

  async #lookAround(): Promise<void> {
    const { signal } = this.#stop;
    const { clock } = this.#parts;
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      await clock.sleep(periodMs, signal).catch(() => {});
      // While we did not look ourselves, a node's silence means nothing.
      const missedMs = clock.monotonicMs() - beganMs - periodMs;
      if (missedMs > periodMs) for (const heard of this.#heard.values()) heard.atMs += missedMs;
      for (const node of this.#nodes.list()) this.#queue.add(node.metadata?.name ?? '');
    }
  }

  #silentMs(node: NodeObject): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const name = node.metadata?.name ?? '';
    const lease = this.#leases.get(name, leaseNamespace);
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
    // What we wrote ourselves is no sign of life.
    const heartbeat = ready?.reason === 'NodeStatusUnknown' ? '' : ready?.lastHeartbeatTime;
    const sign = `${lease?.spec?.renewTime ?? ''} ${heartbeat ?? ''}`;
    const before = this.#heard.get(name);
    if (before?.sign === sign) return nowMs - before.atMs;
    this.#heard.set(name, { sign, atMs: nowMs });
    return 0;
  }

  async #evict(node: NodeObject, nowMs: number): Promise<void> {
    const { taints = [] } = node.spec ?? {};
    if (readyStatus(node) === 'Unknown') await this.#markPodsNotReady(node, nowMs);
    if (!taints.some(({ effect }) => effect === 'NoExecute')) return;
    const waits: number[] = [];
    for (const pod of this.#podsOn(node)) {
      const atMs = leavesAtMs(pod, node, this.#sinceMs);
      if (atMs === undefined || pod.metadata?.deletionTimestamp || hasEnded(pod)) continue;
      if (atMs > nowMs) waits.push(atMs - nowMs);
      else await this.#evictPod(pod, nowMs);
    }
    if (waits.length > 0) this.#queue.addAfter(node.metadata?.name ?? '', Math.min(...waits));
  }

  async #evictPod(pod: PodObject, nowMs: number): Promise<void> {
    const { name = '', namespace, uid } = pod.metadata ?? {};
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: toTime(nowMs),
    };
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    const options = { namespace, type: strategic, subresource: 'status' } as const;
    await unlessOutdated(this.#client.patch(resources.pods, name, patch, options));
    const about = { apiVersion: 'v1', kind: 'Pod', name, namespace, uid };
    this.#events.event(about, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
    await unlessOutdated(this.#client.delete(resources.pods, name, { namespace, preconditions: { uid } }));
  }

  /** Nobody knows how Pods of a lost node are; nothing should be sent there. */
  async #markPodsNotReady(node: NodeObject, nowMs: number): Promise<void> {
    const condition = { type: 'Ready', status: 'False', lastTransitionTime: toTime(nowMs) };
    for (const { metadata, status } of this.#podsOn(node)) {
      if (!status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True')) continue;
      const patch = { metadata: { uid: metadata?.uid }, status: { conditions: [condition] } };
      const options = { namespace: metadata?.namespace, type: strategic, subresource: 'status' } as const;
      await unlessOutdated(this.#client.patch(resources.pods, metadata?.name ?? '', patch, options));
    }
  }

  #podsOn({ metadata }: NodeObject): PodObject[] {
    return this.#pods.list().filter((pod) => pod.spec?.nodeName === metadata?.name);
  }

  #tell({ metadata }: NodeObject, reason: string, message: string): void {
    const about = { apiVersion: 'v1', kind: 'Node', name: metadata?.name, uid: metadata?.uid };
    this.#events.event(about, 'Normal', reason, message);
  }
}
