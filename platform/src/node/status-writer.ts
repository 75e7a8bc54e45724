/**
 * Brings statuses into the API: the latest wins, one write of a Pod at a time, and never on the path of starting a container.
 * What has just changed for users (a phase, a container's state, readiness) is written at once; the rest waits a moment for more.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Pod, PodStatus } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { diffStatus } from './status/diff-status.ts';

interface Entry {
  pod: Pod;
  wanted: PodStatus;
  /** What the API holds, as far as we know. */
  written: PodStatus;
  /** resourceVersion of our last write: older copies tell nothing. */
  version: number;
  writing: Promise<void> | undefined;
  hurry: AbortController;
}

const calmMs = 150;
const firstRetryMs = 200;
const lastRetryMs = 10_000;

export class StatusWriter {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();

  constructor(options: { client: KubeClient; clock: Clock; log: Logger }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Takes note of what the status is to be. `object` is the Pod as last seen in the API. */
  set(object: Pod, status: PodStatus): void {
    const uid = object.metadata?.uid ?? '';
    const entry = this.#entries.get(uid) ?? newEntry(object);
    this.#entries.set(uid, entry);
    entry.pod = object;
    const seen = Number(object.metadata?.resourceVersion ?? 0);
    // Somebody else wrote it since: what we said may have to be said again.
    if (seen > entry.version && !entry.writing) {
      entry.version = seen;
      entry.written = object.status ?? {};
    }
    entry.wanted = status;
    if (isUrgent(entry.written, status)) entry.hurry.abort();
    this.#wake(entry);
  }

  /** Resolves with true when the API has the status last set, with false when the Pod is gone there. */
  async flush(uid: string): Promise<boolean> {
    const entry = this.#entries.get(uid);
    entry?.hurry.abort();
    while (entry?.writing) await entry.writing;
    return this.#entries.has(uid);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    for (const entry of entries) entry.hurry.abort();
    this.#stop.abort();
    await Promise.all(entries.map((entry) => entry.writing));
  }

  #wake(entry: Entry): void {
    if (entry.writing || !diffStatus(entry.written, entry.wanted)) return;
    entry.writing = this.#write(entry).finally(() => {
      entry.writing = undefined;
      entry.hurry = new AbortController();
      if (this.#entries.get(entry.pod.metadata?.uid ?? '') === entry && !this.#stop.signal.aborted) this.#wake(entry);
    });
  }

  async #write(entry: Entry): Promise<void> {
    if (!entry.hurry.signal.aborted) await this.#clock.sleep(calmMs, entry.hurry.signal).catch(() => {});
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(retryMs * 2, lastRetryMs)) {
      const wanted = entry.wanted;
      const patch = diffStatus(entry.written, wanted);
      if (!patch) return;
      try {
        const answer = await this.#send(entry.pod, patch);
        entry.written = wanted;
        entry.version = Math.max(entry.version, Number(answer.metadata?.resourceVersion ?? 0));
        return;
      } catch (error) {
        const { name, uid = '' } = entry.pod.metadata ?? {};
        if (isReason(error, 'NotFound') || (isReason(error, 'Conflict') && (await this.#isGone(entry.pod)))) {
          this.#entries.delete(uid);
          return;
        }
        this.#log.warn({ pod: name, uid, retryMs, error: messageOf(error) }, 'status not written, will be tried again');
        if (this.#stop.signal.aborted) return;
        await this.#clock.sleep(retryMs, this.#stop.signal).catch(() => {});
        if (this.#stop.signal.aborted) return;
      }
    }
  }

  /** No Pod has the name any more, or another one; the API shows a node only its own. */
  async #isGone({ metadata }: Pod): Promise<boolean> {
    try {
      const now = await this.#client.get<Pod>(resources.pods, metadata?.name ?? '', metadata?.namespace);
      return now.metadata?.uid !== metadata?.uid;
    } catch (error) {
      return isReason(error, 'NotFound', 'Forbidden');
    }
  }

  /** The uid in the patch makes it fail when another Pod has the name by now. */
  #send(pod: Pod, status: Record<string, unknown>): Promise<Pod> {
    const { name = '', namespace, uid } = pod.metadata ?? {};
    return this.#client.patch<Pod>(
      resources.pods,
      name,
      { metadata: { uid }, status },
      { namespace, type: 'application/strategic-merge-patch+json', subresource: 'status' },
    );
  }
}

const newEntry = (object: Pod): Entry => ({
  pod: object,
  wanted: object.status ?? {},
  written: object.status ?? {},
  version: Number(object.metadata?.resourceVersion ?? 0),
  writing: undefined,
  hurry: new AbortController(),
});

function isUrgent(before: PodStatus, after: PodStatus): boolean {
  return after.phase !== before.phase || face(before) !== face(after);
}

/** What a user waits to see: which containers run or have ended, and which are ready. */
function face(status: PodStatus): string {
  const all = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ];
  return all
    .map(({ name, state, ready, restartCount }) => [
      name,
      state?.running ? 'r' : state?.terminated ? 't' : 'w',
      ready,
      restartCount,
    ])
    .filter(([, kind]) => kind !== 'w')
    .join();
}
