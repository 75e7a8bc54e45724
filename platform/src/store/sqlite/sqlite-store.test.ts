import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { silentLogger } from '../../base/log.ts';
import { storeSuite } from '../store-suite.ts';
import { openSqliteStore } from './sqlite-store.ts';

const bytes = (value: string) => new TextEncoder().encode(value);

async function temporaryFile() {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-store-'));
  return { file: join(directory, 'state.db'), remove: () => rm(directory, { recursive: true, force: true }) };
}

storeSuite('sqlite', async ({ maxEvents }) => {
  const { file, remove } = await temporaryFile();
  const store = await openSqliteStore({ file, log: silentLogger, watchLimits: { maxEvents, maxBytes: 64 << 20 } });
  return {
    store,
    dispose: async () => {
      await store.close();
      await remove();
    },
  };
});

it('keeps keys, history, the revision and the compacted revision across a restart', async () => {
  const { file, remove } = await temporaryFile();
  try {
    const before = await openSqliteStore({ file, log: silentLogger });
    const one = await before.commit([{ key: '/a', value: bytes('1') }]);
    const two = await before.commit([{ key: '/a', value: bytes('2') }]);
    const three = await before.commit([{ key: '/a', value: undefined }]);
    await before.compact(two);
    await before.close();

    const after = await openSqliteStore({ file, log: silentLogger });
    assert.equal(await after.revision(), three);
    assert.equal((await after.list('/', { revision: two })).entries.length, 1);
    await assert.rejects(after.list('/', { revision: one }), (error) => isReason(error, 'Expired'));
    assert.equal(await after.commit([{ key: '/a', value: bytes('3'), expect: 0 }]), three + 1);
    await after.close();
  } finally {
    await remove();
  }
});

it('never gives a revision twice, even when everything was deleted and compacted before the restart', async () => {
  const { file, remove } = await temporaryFile();
  try {
    const before = await openSqliteStore({ file, log: silentLogger });
    await before.commit([{ key: '/a', value: bytes('1') }]);
    const last = await before.commit([{ key: '/a', value: undefined }]);
    await before.compact(last);
    await before.close();
    const after = await openSqliteStore({ file, log: silentLogger });
    assert.equal(await after.revision(), last);
    await after.close();
  } finally {
    await remove();
  }
});

it('keeps the file from other users and from a second server', async () => {
  const { file, remove } = await temporaryFile();
  try {
    const store = await openSqliteStore({ file, log: silentLogger });
    await store.commit([{ key: '/a', value: bytes('1') }]);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(`${file}-wal`)).mode & 0o777, 0o600);
    await assert.rejects(openSqliteStore({ file, log: silentLogger }), (error) => {
      assert.ok(isReason(error, 'FailedPrecondition'));
      assert.match(error.message, /in use by another server/);
      return true;
    });
    await store.close();
  } finally {
    await remove();
  }
});

it('refuses a file that is no database, by name', async () => {
  const { file, remove } = await temporaryFile();
  try {
    await writeFile(
      file,
      'this is a text file and quite certainly not a database, however long one looks at it'.repeat(99),
    );
    await assert.rejects(openSqliteStore({ file, log: silentLogger }), (error) => {
      assert.ok(isReason(error, 'FailedPrecondition'));
      assert.match(error.message, /state\.db is damaged or no SQLite database/);
      return true;
    });
  } finally {
    await remove();
  }
});

it('answers commits that were under way when it is closed', async () => {
  const { file, remove } = await temporaryFile();
  try {
    const store = await openSqliteStore({ file, log: silentLogger });
    const committed = store.commit([{ key: '/a', value: bytes('1') }]);
    await store.close();
    assert.equal(await committed, 1);
  } finally {
    await remove();
  }
});

it('refuses writes when it is full, keeps what it has, and goes on once compaction has made room', async () => {
  const { file, remove } = await temporaryFile();
  try {
    const store = await openSqliteStore({ file, log: silentLogger, maxBytes: 1 << 20 });
    const value = new Uint8Array(20_000).fill(65);
    let last = 0;
    const full = (async () => {
      for (;;) last = await store.commit([{ key: '/a', value }]);
    })();
    await assert.rejects(full, (error) => isReason(error, 'ResourceExhausted'));
    assert.ok(last > 20, `full after ${last} writes`);
    assert.equal(await store.revision(), last);
    assert.equal((await store.get('/a'))?.modRevision, last);
    await store.compact(last);
    assert.equal(await store.commit([{ key: '/a', value, expect: last }]), last + 1);
    await store.close();

    const again = await openSqliteStore({ file, log: silentLogger });
    assert.equal((await again.get('/a'))?.modRevision, last + 1);
    await again.close();
  } finally {
    await remove();
  }
});
