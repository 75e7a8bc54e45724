/**
 * The SQLite file: how it is opened, its tables, its prepared statements.
 *
 *   history   one row per write: key, revision, value (NULL: a delete). The truth, and what watches replay.
 *   entries   one row per living key, pointing at its newest history row. Values are stored once.
 *   meta      the revision counter and how far history is compacted.
 */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { messageOf, SampanError } from '@sampan/api/errors.ts';

const schemaVersion = 1;
const pageSize = 4096;

const schema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('revision', 0), ('compacted', 0);
  CREATE TABLE history (
    id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL, createRevision INTEGER NOT NULL, value BLOB);
  CREATE INDEX historyByRevision ON history (revision);
  CREATE UNIQUE INDEX historyByKey ON history (key, revision);
  CREATE TABLE entries (
    key TEXT PRIMARY KEY, createRevision INTEGER NOT NULL, modRevision INTEGER NOT NULL, historyId INTEGER NOT NULL
  ) WITHOUT ROWID;
  PRAGMA user_version = ${schemaVersion};
`;

/** Opens or creates the file, readable by its owner alone (it holds secrets) and locked against a second server. */
export function openDatabase(file: string, maxBytes?: number): DatabaseSync {
  try {
    if (file !== ':memory:') closeSync(openSync(file, 'a', 0o600));
    const db = new DatabaseSync(file, { timeout: 0 });
    try {
      prepareFile(db, file);
      if (maxBytes !== undefined) db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageSize))}`);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  } catch (error) {
    if (error instanceof SampanError) throw error;
    throw openError(file, error);
  }
}

function prepareFile(db: DatabaseSync, file: string): void {
  // With an exclusive lock WAL needs no shared-memory file, and a second server fails here rather than later.
  db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL');
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 8388608');
  // Small checkpoints, often: one of SQLite's default size would hold the event loop for tens of milliseconds.
  db.exec('PRAGMA wal_autocheckpoint = 200; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY');
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
  if (version > schemaVersion) {
    throw new SampanError(
      'FailedPrecondition',
      `${file} has schema version ${version}, newer than ${schemaVersion} which this server knows; start the newer server`,
    );
  }
  db.exec('BEGIN IMMEDIATE');
  if (version === 0) db.exec(schema);
  db.exec('COMMIT');
}

function openError(file: string, error: unknown): SampanError {
  const message = messageOf(error);
  if (/locked|busy/i.test(message)) {
    return new SampanError('FailedPrecondition', `${file} is in use by another server; stop it first (./sampan down)`);
  }
  if (/not a database|malformed/i.test(message)) {
    return new SampanError(
      'FailedPrecondition',
      `${file} is damaged or no SQLite database (${message}); restore a copy`,
    );
  }
  return new SampanError('InternalError', `cannot open the store ${file}: ${message}`, {}, { cause: error });
}

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql);
  return {
    meta: prepare('SELECT value FROM meta WHERE name = ?'),
    setMeta: prepare('UPDATE meta SET value = ? WHERE name = ?'),
    get: prepare(
      `SELECT e.key, e.createRevision, e.modRevision, h.value FROM entries e JOIN history h ON h.id = e.historyId
       WHERE e.key = ?`,
    ),
    listNow: prepare(
      `SELECT e.key, e.createRevision, e.modRevision, h.value FROM entries e JOIN history h ON h.id = e.historyId
       WHERE e.key >= ? AND e.key < ? AND e.key > ? ORDER BY e.key LIMIT ?`,
    ),
    countNow: prepare('SELECT count(*) AS count FROM entries WHERE key >= ? AND key < ? AND key > ?'),
    listThen: prepare(
      `SELECT key, createRevision, revision AS modRevision, value FROM history h
       WHERE key >= ? AND key < ? AND key > ? AND value IS NOT NULL AND revision =
         (SELECT max(revision) FROM history WHERE key = h.key AND revision <= ?) ORDER BY key LIMIT ?`,
    ),
    countThen: prepare(
      `SELECT count(*) AS count FROM history h
       WHERE key >= ? AND key < ? AND key > ? AND value IS NOT NULL AND revision =
         (SELECT max(revision) FROM history WHERE key = h.key AND revision <= ?)`,
    ),
    insertHistory: prepare('INSERT INTO history (revision, key, createRevision, value) VALUES (?, ?, ?, ?)'),
    putEntry: prepare(
      `INSERT INTO entries (key, createRevision, modRevision, historyId) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET
         createRevision = excluded.createRevision, modRevision = excluded.modRevision, historyId = excluded.historyId`,
    ),
    deleteEntry: prepare('DELETE FROM entries WHERE key = ?'),
    eventsAfter: prepare(
      `SELECT h.key, h.revision, h.value, p.value AS previous FROM history h
       LEFT JOIN history p ON p.key = h.key AND p.revision =
         (SELECT max(revision) FROM history WHERE key = h.key AND revision < h.revision)
       WHERE h.revision > ? AND h.revision <= ? AND h.key >= ? AND h.key < ? ORDER BY h.revision, h.id LIMIT ?`,
    ),
    eventsOf: prepare(
      `SELECT h.key, h.revision, h.value, p.value AS previous FROM history h
       LEFT JOIN history p ON p.key = h.key AND p.revision =
         (SELECT max(revision) FROM history WHERE key = h.key AND revision < h.revision)
       WHERE h.revision = ? AND h.key >= ? AND h.key < ? ORDER BY h.id`,
    ),
    superseded: prepare(
      `SELECT h.id FROM history h WHERE h.id > ? AND h.id <= ? AND h.revision <= ? AND
         (h.value IS NULL OR EXISTS (SELECT 1 FROM history n WHERE n.key = h.key AND n.revision > h.revision AND n.revision <= ?))
       ORDER BY h.id`,
    ),
    lastIdUpTo: prepare('SELECT max(id) AS id FROM history WHERE revision <= ?'),
    nextId: prepare('SELECT min(id) AS id FROM history WHERE id > ?'),
    deleteHistory: prepare('DELETE FROM history WHERE id = ?'),
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK'),
  };
}
