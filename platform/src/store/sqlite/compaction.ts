/** Forgets superseded history a little at a time, giving way to everything else in between. */
import type { DatabaseSync } from 'node:sqlite';
import type { Statements } from './database.ts';

/** Rows looked at before others get their turn: about a millisecond's work. */
const chunk = 200;
const freePagesAtOnce = 200;

/**
 * Keeps, of each key, the newest row at or before `revision` (later revisions build on it), unless that row is a delete. Rows go oldest first,
 * so a run that is interrupted never leaves a key that looks undeleted; the next run finishes it.
 */
export async function compactHistory(options: {
  db: DatabaseSync;
  sql: Statements;
  revision: number;
  stopped: () => boolean;
}): Promise<void> {
  const { db, sql, revision, stopped } = options;
  const last = Number(sql.lastIdUpTo.get(revision)?.id ?? 0);
  for (let from = 0; from < last && !stopped(); ) {
    const first = Number(sql.nextId.get(from)?.id);
    const to = Math.min(last, first + chunk - 1);
    const rows = sql.superseded.all(first - 1, to, revision, revision) as { id: number }[];
    if (rows.length > 0) {
      sql.begin.run();
      for (const { id } of rows) sql.deleteHistory.run(id);
      sql.commit.run();
    }
    from = to;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!stopped()) db.exec(`PRAGMA incremental_vacuum(${freePagesAtOnce})`);
}
