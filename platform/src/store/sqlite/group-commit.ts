/**
 * Group commit: whatever was submitted since the last tick goes into one transaction, one fsync. Each submission's expectations are checked on
 * their own; one that fails rejects itself alone. Nobody is answered, and no watcher told, before COMMIT has returned.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { conflict } from '../keys.ts';
import type { Entry, StoreEvent, Write } from '../store.ts';
import type { Statements } from './database.ts';

/** A batch stops taking submissions after this long, or with this much to write: COMMIT and its fsync take the rest of 10 ms. */
const batchMs = 3;
const batchBytes = 256 << 10;
const slowMs = 50;

/** Keys and rows cost too: a write of nothing counts as this much. */
const writeOverheadBytes = 256;

interface Submission {
  writes: Write[];
  resolve: (revision: number) => void;
  reject: (error: SampanError) => void;
}

export interface GroupCommitOptions {
  sql: Statements;
  /** The last committed revision. */
  revision: number;
  publish: (events: StoreEvent[]) => void;
  clock: Clock;
  log: Logger;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #queue: Submission[] = [];
  #revision: number;
  #scheduled = false;
  #drained: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#revision = options.revision;
  }

  get revision(): number {
    return this.#revision;
  }

  submit(writes: Write[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting. */
  async drain(): Promise<void> {
    if (this.#queue.length > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#runBatch();
      if (this.#queue.length > 0) this.#schedule();
      else for (const wake of this.#drained.splice(0)) wake();
    });
  }

  #runBatch(): void {
    const { sql, clock, log } = this.#options;
    const startedMs = clock.monotonicMs();
    const taken: Submission[] = [];
    const done: { submission: Submission; revision: number; events: StoreEvent[] }[] = [];
    let revision = this.#revision;
    let bytes = 0;
    const isRoomLeft = () => bytes < batchBytes && clock.monotonicMs() - startedMs < batchMs;
    try {
      sql.begin.run();
      while (this.#queue.length > 0 && (taken.length === 0 || isRoomLeft())) {
        const submission = this.#queue.shift() as Submission;
        taken.push(submission);
        bytes += sizeOf(submission);
        const before = this.#check(submission);
        if (!before) continue;
        revision += 1;
        done.push({ submission, revision, events: this.#apply(submission.writes, before, revision) });
      }
      if (done.length > 0) sql.setMeta.run(revision, 'revision');
      sql.commit.run();
    } catch (error) {
      this.#fail(taken, error);
      return;
    }
    this.#revision = revision;
    for (const { submission, revision: own, events } of done) {
      this.#options.publish(events);
      submission.resolve(own);
    }
    const tookMs = clock.monotonicMs() - startedMs;
    if (tookMs > slowMs) log.warn({ commits: done.length, tookMs: Math.round(tookMs) }, 'the store is slow to commit');
  }

  /** The entries before the writes, or undefined when the submission was rejected for a conflict. */
  #check(submission: Submission): (Entry | undefined)[] | undefined {
    const before: (Entry | undefined)[] = [];
    for (const { key, expect } of submission.writes) {
      const entry = this.#options.sql.get.get(key) as Entry | undefined;
      const actual = entry?.modRevision ?? 0;
      if (expect !== undefined && expect !== actual) {
        submission.reject(conflict(key, expect, actual));
        return undefined;
      }
      before.push(entry);
    }
    return before;
  }

  #apply(writes: Write[], before: (Entry | undefined)[], revision: number): StoreEvent[] {
    const { sql } = this.#options;
    const events: StoreEvent[] = [];
    for (const [i, { key, value }] of writes.entries()) {
      const old = before[i];
      if (value === undefined && !old) continue;
      const createRevision = old?.createRevision ?? revision;
      const inserted = sql.insertHistory.run(revision, key, createRevision, value ?? null);
      if (value === undefined) {
        sql.deleteEntry.run(key);
        events.push({ type: 'delete', key, value: old?.value, revision });
      } else {
        sql.putEntry.run(key, createRevision, revision, inserted.lastInsertRowid);
        events.push({ type: 'put', key, value, revision, ...(old && { previous: old.value }) });
      }
    }
    return events;
  }

  #fail(taken: Submission[], error: unknown): void {
    const { sql, log } = this.#options;
    try {
      sql.rollback.run();
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
    // What still waits is tried on its own turn, unless not even a transaction could be begun.
    const message = messageOf(error);
    log.error({ error: message, commits: taken.length }, 'the store could not commit');
    const reason = /full/i.test(message) ? 'ResourceExhausted' : 'InternalError';
    const failure = new SampanError(reason, `the store could not write: ${message}`, {}, { cause: error });
    if (taken.length === 0) for (const { reject } of this.#queue.splice(0)) reject(failure);
    for (const { reject } of taken) reject(failure);
  }
}

function sizeOf({ writes }: Submission): number {
  return writes.reduce((total, { value }) => total + writeOverheadBytes + (value?.length ?? 0), 0);
}
