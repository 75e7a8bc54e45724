/**
 * The default store: one SQLite file, WAL, fsync before every answer.
 *
 * Commits of one tick are answered by one transaction and so by one fsync (group-commit.ts). node:sqlite is synchronous: reads take
 * microseconds, and a batch is cut when it has used its time, so that the event loop is never held for long.
 */
import type { DatabaseSync } from 'node:sqlite';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { checkWrites, compacted, inTheFuture, prefixEnd } from '../keys.ts';
import type { Entry, ListPage, Store, StoreEvent, Write } from '../store.ts';
import { WatchHub, type WatchLimits } from '../watch-hub.ts';
import { compactHistory } from './compaction.ts';
import { openDatabase, prepareStatements, type Statements } from './database.ts';
import { GroupCommit } from './group-commit.ts';
import { readHistory } from './history.ts';

export interface SqliteStoreOptions {
  /** Its directory must exist. */
  file: string;
  log: Logger;
  clock?: Clock;
  /** Writes beyond this are refused with ResourceExhausted until compaction has made room. Default: the disk is the limit. */
  maxBytes?: number;
  watchLimits?: WatchLimits;
}

/** Throws FailedPrecondition when the file is another server's, damaged, or of a newer schema. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  return new SqliteStore(options);
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #hub: WatchHub;
  readonly #commits: GroupCommit;
  #compacted: number;
  #compaction: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: SqliteStoreOptions) {
    this.#db = openDatabase(options.file, options.maxBytes);
    this.#sql = prepareStatements(this.#db);
    this.#hub = new WatchHub(options.watchLimits);
    this.#compacted = this.#meta('compacted');
    this.#commits = new GroupCommit({
      sql: this.#sql,
      revision: this.#meta('revision'),
      publish: (events) => this.#hub.publish(events),
      clock: options.clock ?? systemClock,
      log: options.log,
    });
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertOpen();
    return this.#sql.get.get(key) as Entry | undefined;
  }

  async list(prefix: string, options: { limit?: number; after?: string; revision?: number } = {}): Promise<ListPage> {
    this.#assertOpen();
    const current = this.#commits.revision;
    const revision = options.revision || current;
    if (revision < this.#compacted) throw compacted(revision, this.#compacted);
    if (revision > current) throw inTheFuture(revision, current);
    const range = [prefix, prefixEnd(prefix)] as const;
    const read = (after: string, limit: number) =>
      revision === current
        ? this.#sql.listNow.all(...range, after, limit)
        : this.#sql.listThen.all(...range, after, revision, limit);
    const entries = read(options.after ?? '', options.limit || -1) as unknown as Entry[];
    const last = entries.at(-1)?.key;
    if (!options.limit || last === undefined) return { entries, revision, more: false, remaining: 0 };
    const counted =
      revision === current ? this.#sql.countNow.get(...range, last) : this.#sql.countThen.get(...range, last, revision);
    const remaining = Number(counted?.count);
    return { entries, revision, more: remaining > 0, remaining };
  }

  async commit(writes: Write[]): Promise<number> {
    this.#assertOpen();
    checkWrites(writes);
    return this.#commits.submit(writes);
  }

  async *watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<StoreEvent[]> {
    this.#assertOpen();
    yield* this.#hub.watch({
      prefix,
      after,
      signal,
      current: () => this.#commits.revision,
      readHistory: (_prefix, from, to) => {
        this.#assertOpen();
        if (from < this.#compacted) throw compacted(from, this.#compacted);
        return readHistory(this.#sql, { prefix, from, to });
      },
    });
  }

  async revision(): Promise<number> {
    return this.#commits.revision;
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    if (revision > this.#commits.revision) throw inTheFuture(revision, this.#commits.revision);
    const work = this.#compaction.then(async () => {
      if (revision <= this.#compacted || this.#closed) return;
      this.#sql.setMeta.run(revision, 'compacted');
      this.#compacted = revision;
      await compactHistory({ db: this.#db, sql: this.#sql, revision, stopped: () => this.#closed });
    });
    this.#compaction = work.catch(() => {});
    return work;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#hub.close();
    await this.#compaction;
    await this.#commits.drain();
    this.#db.close();
  }

  #meta(name: string): number {
    return Number(this.#sql.meta.get(name)?.value);
  }

  #assertOpen(): void {
    if (this.#closed) throw new SampanError('FailedPrecondition', 'the store is closed');
  }
}
