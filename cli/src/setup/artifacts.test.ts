import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryAtHand } from './artifacts.ts';

test('what an earlier checkout made is taken down with what was built last, where this one has built nothing', async () => {
  const shelf = await mkdtemp(join(tmpdir(), 'sampan-artifacts-'));
  try {
    const wanted = { name: 'guest' as const, directory: join(shelf, 'wanted') };
    assert.equal(await directoryAtHand({ ...wanted, built: false }), wanted.directory, 'nothing is there at all');
    for (const [name, seconds] of [
      ['older', 100],
      ['newer', 200],
      ['half', 300],
    ] as const) {
      await mkdir(join(shelf, name));
      if (name === 'half') continue;
      await writeFile(join(shelf, name, '.complete'), '');
      await utimes(join(shelf, name, '.complete'), seconds, seconds);
    }
    assert.equal(await directoryAtHand({ ...wanted, built: false }), join(shelf, 'newer'));
    assert.equal(await directoryAtHand({ ...wanted, built: true }), wanted.directory);
  } finally {
    await rm(shelf, { recursive: true, force: true });
  }
});
