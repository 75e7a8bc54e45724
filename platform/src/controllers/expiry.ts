/** Removes what has had its time: Events after an hour, ended Pods beyond a number, Pods bound to nodes that no longer exist. */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Event, Node, Pod } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

/** kube-apiserver's --event-ttl. */
const eventTtlMs = 3_600_000;
/** kube-controller-manager's --terminated-pod-gc-threshold is 12500 for fleets; one machine keeps fewer. */
const endedPodsKept = 1000;
const periodMs = 60_000;

export class Expiry {
  readonly #options: { client: KubeClient; log: Logger; clock: Clock };
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: { client: KubeClient; log: Logger; clock: Clock }) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(periodMs, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      await this.sweep().catch((error) => log.warn({ error: messageOf(error) }, 'expiry failed, will be tried again'));
    }
  }

  /** One pass. */
  async sweep(): Promise<void> {
    const { client, clock } = this.#options;
    const [events, pods, nodes] = await Promise.all([
      client.list<Event & KubeObject>(resources.events),
      client.list<Pod & KubeObject>(resources.pods),
      client.list<Node & KubeObject>(resources.nodes),
    ]);
    const names = new Set(nodes.items.map((node) => node.metadata?.name));
    for (const event of events.items) {
      if (clock.now() - lastSeenMs(event) > eventTtlMs) await this.#delete(resources.events, event);
    }
    const ended = pods.items
      .filter((pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed')
      .sort(byAge);
    const lost = pods.items.filter((pod) => pod.spec?.nodeName && !names.has(pod.spec.nodeName));
    for (const pod of [...ended.slice(0, Math.max(0, ended.length - endedPodsKept)), ...lost])
      await this.#delete(resources.pods, pod, 0);
  }

  async #delete(
    ref: (typeof resources)['pods' | 'events'],
    object: KubeObject,
    gracePeriodSeconds?: number,
  ): Promise<void> {
    const { name = '', namespace, uid } = object.metadata ?? {};
    try {
      await this.#options.client.delete(ref, name, {
        namespace,
        preconditions: { uid },
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

const byAge = (a: KubeObject, b: KubeObject): number =>
  String(a.metadata?.creationTimestamp).localeCompare(String(b.metadata?.creationTimestamp));

function lastSeenMs(event: Event & KubeObject): number {
  const time =
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata?.creationTimestamp;
  return Date.parse(String(time));
}
