/** Replays committed events from the history table, in pages of whole revisions. */

import { prefixEnd } from '../keys.ts';
import type { StoreEvent } from '../store.ts';
import type { Statements } from './database.ts';

const pageSize = 500;

interface HistoryRow {
  key: string;
  revision: number;
  value: Uint8Array | null;
  previous: Uint8Array | null;
}

/** Events with from < revision <= to, and the revision up to which they are complete. */
export function readHistory(
  sql: Statements,
  { prefix, from, to }: { prefix: string; from: number; to: number },
): { events: StoreEvent[]; upTo: number } {
  const range = [prefix, prefixEnd(prefix)] as const;
  const rows = sql.eventsAfter.all(from, to, ...range, pageSize) as unknown as HistoryRow[];
  if (rows.length < pageSize) return { events: rows.map(toEvent), upTo: to };
  // The page may end in the middle of a revision: take that one whole.
  const last = rows.at(-1)!.revision;
  const whole = rows.filter((row) => row.revision < last);
  whole.push(...(sql.eventsOf.all(last, ...range) as unknown as HistoryRow[]));
  return { events: whole.map(toEvent), upTo: last };
}

function toEvent({ key, revision, value, previous }: HistoryRow): StoreEvent {
  if (value === null) return { type: 'delete', key, value: previous ?? undefined, revision };
  return { type: 'put', key, value, revision, ...(previous && { previous }) };
}
