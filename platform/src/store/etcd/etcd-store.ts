/**
 * The store for several API servers: an etcd v3 cluster, 3.4 or later. The revision counter, history and compaction are etcd's own.
 *
 * The etcd must be Sampan's alone: the watch cache follows all its keys to know how far it has come. Reads are linearizable, so what one
 * server committed every other one sees. A write whose answer was lost is reported as Timeout and never sent twice.
 */
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { checkWrites, conflict, inTheFuture, prefixEnd } from '../keys.ts';
import type { Entry, ListPage, Store, StoreEvent, Write } from '../store.ts';
import { defaultWatchLimits, type WatchLimits } from '../watch-hub.ts';
import { type EtcdAddress, EtcdConnection } from './connection.ts';
import { explain, explainWrite, isPassing } from './failures.ts';
import type { KeyValue, RangeResponse, TxnRequest } from './messages.ts';
import { readWatch } from './watch-stream.ts';

export interface EtcdStoreOptions extends EtcdAddress {
  log: Logger;
  clock?: Clock;
  watchLimits?: WatchLimits;
}

/** Asked for when only the header's revision is wanted: no such key can exist. */
const noKey = Uint8Array.of(0);
/** A list without a limit is read in pieces of so many keys, to bound one message. */
const pieceKeys = 2_000;
const firstRetryMs = 50;
const lastRetryMs = 1_000;

/** Throws FailedPrecondition when etcd does not answer or does not let us in. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const store = new EtcdStore(options);
  try {
    await store.revision();
    return store;
  } catch (error) {
    await store.close();
    const where = options.endpoints.join(', ');
    throw new SampanError('FailedPrecondition', `no store at ${where}: ${messageOf(error)}`, {}, { cause: error });
  }
}

class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: WatchLimits;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<unknown>>();
  #nextRevision: Promise<number> | undefined;
  #lastRevision: Promise<unknown> = Promise.resolve();

  constructor(options: EtcdStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#limits = options.watchLimits ?? defaultWatchLimits;
    this.#connection = new EtcdConnection(options, this.#clock);
  }

  async get(key: string): Promise<Entry | undefined> {
    const { kvs } = await this.#call(() => this.#connection.range({ key: Buffer.from(key) }));
    return kvs[0] && toEntry(kvs[0]);
  }

  async list(prefix: string, options: { limit?: number; after?: string; revision?: number } = {}): Promise<ListPage> {
    const { limit = 0 } = options;
    const range_end = Buffer.from(prefixEnd(prefix));
    const entries: Entry[] = [];
    let { after = '', revision = 0 } = options;
    for (;;) {
      // The first key after `after` is `after` with a zero byte behind it.
      const key = Buffer.from(after ? `${after}\0` : prefix || '\0');
      const wanted = limit ? limit - entries.length : pieceKeys;
      const page = await this.#range({ key, range_end, limit: Math.min(wanted, pieceKeys), revision });
      for (const kv of page.kvs) entries.push(toEntry(kv));
      revision ||= page.header.revision;
      after = entries.at(-1)?.key ?? after;
      const remaining = page.count - page.kvs.length;
      const isDone = remaining === 0 || (limit > 0 && entries.length >= limit);
      if (isDone) return { entries, revision, more: remaining > 0, remaining };
    }
  }

  async commit(writes: Write[]): Promise<number> {
    checkWrites(writes);
    const expecting = writes.filter((write) => write.expect !== undefined);
    const request: TxnRequest = {
      compare: expecting.map(({ key, expect = 0 }) => ({
        result: 'EQUAL',
        target: 'MOD',
        key: Buffer.from(key),
        mod_revision: expect,
      })),
      success: writes.map(({ key, value }) =>
        value === undefined
          ? { request_delete_range: { key: Buffer.from(key) } }
          : { request_put: { key: Buffer.from(key), value } },
      ),
      failure: expecting.map(({ key }) => ({ request_range: { key: Buffer.from(key), keys_only: true } })),
    };
    const answer = await this.#call(() => this.#connection.txn(request), explainWrite);
    if (answer.succeeded) return answer.header.revision;
    const actual = answer.responses.map((response) => response.response_range?.kvs[0]?.mod_revision ?? 0);
    const lost = expecting.findIndex((write, index) => write.expect !== actual[index]);
    throw conflict(expecting[lost]!.key, expecting[lost]!.expect!, actual[lost]!);
  }

  async *watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<StoreEvent[]> {
    this.#assertOpen();
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    let from = after;
    let retryMs = firstRetryMs;
    while (!stop.aborted) {
      try {
        await this.#assertHeld(from);
        const stream = await this.#connection.watch();
        for await (const { events, upTo } of readWatch(stream, {
          prefix,
          after: from,
          limits: this.#limits,
          signal: stop,
        })) {
          from = upTo;
          retryMs = firstRetryMs;
          if (events.length > 0) yield events;
        }
      } catch (error) {
        if (stop.aborted) return;
        if (!isPassing(error)) throw explain(error);
        this.#log.warn({ error: messageOf(error), after: from }, 'lost the watch of etcd, taking it up again');
        await this.#clock.sleep(retryMs, stop).catch(() => {});
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
    }
  }

  /**
   * Linearizable. Calls that come while one is under way share the next one: the one under way may have been answered before what they
   * want to see was committed.
   */
  revision(): Promise<number> {
    if (this.#nextRevision) return this.#nextRevision;
    const next = this.#lastRevision.then(() => {
      this.#nextRevision = undefined;
      const asked = this.#range({ key: noKey, count_only: true }).then((answer) => answer.header.revision);
      this.#lastRevision = asked.catch(() => {});
      return asked;
    });
    this.#nextRevision = next;
    return next;
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#call(() => this.#connection.compact(revision));
    } catch (error) {
      // Another server was there first.
      if (isReason(error, 'Expired')) return;
      throw isReason(error, 'Timeout') ? inTheFuture(revision, await this.revision()) : error;
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await Promise.allSettled(this.#pending);
    this.#connection.close();
  }

  /** Throws Expired when events after `revision` may be missing: compacted away, or the cluster was set back to an older state. */
  async #assertHeld(revision: number): Promise<void> {
    if (revision === 0) return;
    try {
      await this.#connection.range({ key: noKey, count_only: true, revision });
    } catch (error) {
      const explained = explain(error);
      throw explained.reason === 'Timeout' ? new SampanError('Expired', explained.message) : explained;
    }
  }

  async #range(request: Parameters<EtcdConnection['range']>[0]): Promise<RangeResponse> {
    try {
      return await this.#call(() => this.#connection.range(request));
    } catch (error) {
      if (isReason(error, 'Timeout') && request.revision) throw inTheFuture(request.revision, await this.revision());
      throw error;
    }
  }

  /** Closing waits for what is under way. */
  async #call<T>(call: () => Promise<T>, explained = explain): Promise<T> {
    this.#assertOpen();
    const pending = call();
    this.#pending.add(pending);
    try {
      return await pending;
    } catch (error) {
      throw explained(error);
    } finally {
      this.#pending.delete(pending);
    }
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new SampanError('FailedPrecondition', 'the store is closed');
  }
}

function toEntry({ key, value, create_revision, mod_revision }: KeyValue): Entry {
  return { key: key.toString('latin1'), value, createRevision: create_revision, modRevision: mod_revision };
}
