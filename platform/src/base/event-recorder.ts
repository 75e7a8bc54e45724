/**
 * Writes Events (core/v1) about objects, after client-go's correlator: the same event again raises a count, a flood of one object is cut.
 * Owns counting and flood control. Writing is best effort and off the caller's path: an event that cannot be written is logged and dropped.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Event as KubeEvent, ObjectReference } from 'kubernetes-types/core/v1.js';
import { type Clock, toTime } from './clock.ts';
import type { Logger } from './log.ts';

export type EventType = 'Normal' | 'Warning';

export interface EventRecorder {
  /** Never throws and never waits. `about` needs kind, name, uid and (if namespaced) namespace. */
  event(about: ObjectReference, type: EventType, reason: string, message: string): void;
  /** Resolves when everything recorded so far was written or dropped. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  client: KubeClient;
  /** `kubelet`, `default-scheduler`, ...: shown as the event's source. */
  component: string;
  host?: string;
  clock: Clock;
  log: Logger;
  /** How long an event may wait, so that writing it does not slow down what it tells of. */
  delayMs?: number;
}

/** client-go's defaults: a burst of 25 events an object, then one every 5 minutes; what was seen is remembered for 10 minutes. */
const burst = 25;
const refillMs = 300_000;
const rememberMs = 600_000;
const maxMessage = 1024;
const maxRemembered = 4096;

interface Seen {
  name: string;
  count: number;
  lastMs: number;
}

interface Pending {
  about: ObjectReference;
  type: EventType;
  reason: string;
  message: string;
  atMs: number;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { clock, log, delayMs = 100 } = options;
  const seen = new Map<string, Seen>();
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  let queue: Pending[] = [];
  let writing: Promise<void> | undefined;
  let sequence = 0;

  const allowed = (uid: string, nowMs: number): boolean => {
    const bucket = buckets.get(uid) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    buckets.delete(uid);
    buckets.set(uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    forgetOldest(buckets);
    return tokens >= 1;
  };

  const write = async (event: Pending): Promise<void> => {
    const key = JSON.stringify([event.about.uid, event.about.fieldPath, event.type, event.reason, event.message]);
    const before = seen.get(key);
    if (before && event.atMs - before.lastMs < rememberMs) {
      seen.set(key, { ...before, count: before.count + 1, lastMs: event.atMs });
      if (await raise(options, event, seen.get(key)!)) return;
    }
    const name = `${event.about.name}.${(BigInt(event.atMs) * 1_000_000n + BigInt(sequence++ % 1_000_000)).toString(16)}`;
    seen.delete(key);
    seen.set(key, { name, count: 1, lastMs: event.atMs });
    forgetOldest(seen);
    await options.client.create<KubeEvent>(resources.events, build(options, event, name), {
      namespace: namespaceOf(event.about),
    });
  };

  const drain = async (): Promise<void> => {
    await clock.sleep(delayMs);
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      for (const event of batch)
        await write(event).catch((error) =>
          log.warn({ reason: event.reason, object: event.about.name, error: messageOf(error) }, 'event not written'),
        );
    }
    writing = undefined;
  };

  return {
    event(about, type, reason, message) {
      const atMs = clock.now();
      if (!allowed(about.uid ?? about.name ?? '', atMs)) return;
      queue.push({ about, type, reason, message: cut(message), atMs });
      writing ??= drain();
    },
    async flush() {
      await writing;
    },
  };
}

/** Raises the count of an event that stands; false when it is no longer there. */
async function raise(options: EventRecorderOptions, event: Pending, seen: Seen): Promise<boolean> {
  try {
    await options.client.patch<KubeEvent>(
      resources.events,
      seen.name,
      { count: seen.count, lastTimestamp: toTime(event.atMs) },
      { namespace: namespaceOf(event.about), type: 'application/merge-patch+json' },
    );
    return true;
  } catch (error) {
    if (isReason(error, 'NotFound')) return false;
    throw error;
  }
}

function build(options: EventRecorderOptions, event: Pending, name: string): KubeEvent {
  const source = { component: options.component, ...(options.host ? { host: options.host } : {}) };
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: namespaceOf(event.about) },
    involvedObject: event.about,
    reason: event.reason,
    message: event.message,
    type: event.type,
    source,
    firstTimestamp: toTime(event.atMs),
    lastTimestamp: toTime(event.atMs),
    count: 1,
    reportingComponent: options.component,
    reportingInstance: options.host ?? '',
  };
}

/** Events about things without a namespace (Nodes) stand in `default`, as everywhere in Kubernetes. */
const namespaceOf = (about: ObjectReference): string => about.namespace || 'default';

const cut = (message: string): string =>
  message.length > maxMessage ? `${message.slice(0, maxMessage - 3)}...` : message;

function forgetOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= maxRemembered) return;
    map.delete(key);
  }
}
