/**
 * Binds Pods that have no node. Owns the binding and the condition PodScheduled while a Pod waits. Does not own what a Pod asks for
 * (api/pod-size) nor the choice itself (schedule-decision.ts). Level-based: whatever changes, all waiting Pods are looked at again.
 *
 * What was bound but is not yet back through the watch is assumed to be bound, so that two Pods never take the same room.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { requestedSize } from '@sampan/api/pod-size.ts';
import { type Clock, toTime } from '../base/clock.ts';
import { createEventRecorder, type EventRecorder } from '../base/event-recorder.ts';
import { Informer } from '../base/informer.ts';
import type { Logger } from '../base/log.ts';
import { allocatableOf } from './allocatable.ts';
import type { NodeObject, PodObject } from './node-selection.ts';
import { schedule } from './schedule-decision.ts';

const schedulerName = 'default-scheduler';
/** A waiting Pod is looked at again at least this often, should an event ever be missed. */
const resyncMs = 30_000;

export class Scheduler {
  readonly #client: KubeClient;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #pods: Informer<PodObject>;
  readonly #nodes: Informer<NodeObject>;
  /** Their labels, for affinity across namespaces. */
  readonly #namespaces: Informer<KubeObject>;
  readonly #events: EventRecorder;
  /** uid of a Pod to the node we bound it to, until the watch says the same. */
  readonly #assumed = new Map<string, string>();
  /** uid to the refusal last written. */
  readonly #refused = new Map<string, string>();
  readonly #stop = new AbortController();
  #pass: Promise<void> | undefined;
  #again = false;

  constructor(options: { client: KubeClient; log: Logger; clock: Clock }) {
    this.#client = options.client;
    this.#log = options.log;
    this.#clock = options.clock;
    const onChange = () => this.#wake();
    this.#pods = new Informer<PodObject>({
      ...options,
      ref: resources.pods,
      onChange: ({ type, object }) => {
        const uid = object.metadata?.uid ?? '';
        if (type === 'removed' || object.spec?.nodeName) this.#assumed.delete(uid);
        if (type === 'removed') this.#refused.delete(uid);
        this.#wake();
      },
    });
    this.#nodes = new Informer<NodeObject>({ ...options, ref: resources.nodes, onChange });
    this.#namespaces = new Informer<KubeObject>({ ...options, ref: resources.namespaces, onChange });
    this.#events = createEventRecorder({ ...options, component: schedulerName });
  }

  async start(): Promise<void> {
    await Promise.all([this.#pods.start(), this.#nodes.start(), this.#namespaces.start()]);
    void this.#resync();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const informers = [this.#pods, this.#nodes, this.#namespaces].map((informer) => informer.close());
    await Promise.all([...informers, this.#pass, this.#events.flush()]);
  }

  async #resync(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake();
      await this.#clock.sleep(resyncMs, this.#stop.signal).catch(() => {});
    }
  }

  #wake(): void {
    if (this.#pass) this.#again = true;
    else if (!this.#stop.signal.aborted) this.#pass = this.#runPasses();
  }

  async #runPasses(): Promise<void> {
    do {
      this.#again = false;
      await this.#placeAll();
    } while (this.#again && !this.#stop.signal.aborted);
    this.#pass = undefined;
  }

  /** Decides about all waiting Pods in one go (highest priority, then oldest, first) and binds side by side. */
  async #placeAll(): Promise<void> {
    const waiting = this.#pods
      .list()
      .filter((pod) => this.#waits(pod))
      .sort(byPriorityThenAge);
    const work: Promise<void>[] = [];
    const labels = new Map(this.#namespaces.list().map(({ metadata }) => [metadata?.name, metadata?.labels ?? {}]));
    const nodes = this.#nodes.list();
    const bound = this.#bound();
    for (const pod of waiting) {
      const decision = schedule({
        ...{ pod, nodes, bound },
        needs: requestedSize,
        allocatable: allocatableOf,
        namespaceLabels: (namespace) => labels.get(namespace),
      });
      if ('node' in decision) {
        this.#assumed.set(pod.metadata!.uid!, decision.node);
        bound.push(boundTo(pod, decision.node));
        work.push(this.#bind(pod, decision.node));
      } else work.push(this.#refuse(pod, decision.message));
    }
    await Promise.all(work);
  }

  #waits(pod: PodObject): boolean {
    const { schedulerName: wanted = schedulerName, nodeName, schedulingGates = [] } = pod.spec ?? {};
    const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    return (
      wanted === schedulerName &&
      !nodeName &&
      !ended &&
      schedulingGates.length === 0 &&
      !pod.metadata?.deletionTimestamp &&
      !this.#assumed.has(pod.metadata?.uid ?? '')
    );
  }

  #bound(): PodObject[] {
    return this.#pods
      .list()
      .filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed')
      .map((pod) => {
        const assumed = this.#assumed.get(pod.metadata?.uid ?? '');
        return assumed ? boundTo(pod, assumed) : pod;
      })
      .filter((pod) => pod.spec?.nodeName);
  }

  async #bind(pod: PodObject, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata!;
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    try {
      await this.#client.create(resources.pods, binding, { namespace, name, subresource: 'binding' });
      this.#refused.delete(uid!);
      this.#events.event(
        referenceOf(pod),
        'Normal',
        'Scheduled',
        `Successfully assigned ${namespace}/${name} to ${node}`,
      );
    } catch (error) {
      this.#assumed.delete(uid!);
      if (isReason(error, 'NotFound', 'Conflict')) return;
      this.#log.warn({ pod: `${namespace}/${name}`, error: messageOf(error) }, 'cannot bind, will be tried again');
    }
  }

  async #refuse(pod: PodObject, message: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata!;
    if (this.#refused.get(uid!) === message) return;
    this.#refused.set(uid!, message);
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastProbeTime: null,
      lastTransitionTime: toTime(this.#clock.now()),
    };
    this.#events.event(referenceOf(pod), 'Warning', 'FailedScheduling', message);
    await this.#client
      .patch(
        resources.pods,
        name!,
        { status: { conditions: [condition] } },
        { namespace, type: 'application/strategic-merge-patch+json', subresource: 'status' },
      )
      .catch((error) => {
        if (!isReason(error, 'NotFound'))
          this.#log.warn({ pod: `${namespace}/${name}`, error: messageOf(error) }, 'cannot say why a Pod waits');
        this.#refused.delete(uid!);
      });
  }
}

const boundTo = (pod: PodObject, node: string): PodObject => ({ ...pod, spec: { ...pod.spec!, nodeName: node } });

function byPriorityThenAge(a: PodObject, b: PodObject): number {
  const priority = (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0);
  return priority || String(a.metadata?.creationTimestamp).localeCompare(String(b.metadata?.creationTimestamp));
}

function referenceOf(pod: PodObject) {
  const { name, namespace, uid, resourceVersion } = pod.metadata!;
  return { apiVersion: 'v1', kind: 'Pod', name, namespace, uid, resourceVersion };
}
