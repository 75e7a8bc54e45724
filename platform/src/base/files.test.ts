/** Files that are there whole or not at all. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeFileAtomic, writeVolatileFile } from './files.ts';

test('a file is written over with its content and mode, and nothing else is left beside it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sampan-files-'));
  try {
    const path = join(directory, 'record');
    await writeFileAtomic(path, 'one', { mode: 0o640, durable: false });
    writeVolatileFile(path, 'two', 0o600);
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    writeVolatileFile(path, 'three', 0o666);
    assert.equal(statSync(path).mode & 0o777, 0o666, 'whatever the umask');
    assert.throws(() => writeVolatileFile(join(directory, 'record', 'below'), 'x', 0o600), { code: 'ENOTDIR' });
    assert.deepEqual(readdirSync(directory), ['record']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
