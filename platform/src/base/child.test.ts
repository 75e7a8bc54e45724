import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from './child.ts';
import { systemClock } from './clock.ts';

test('a command that takes too long ends for its caller, though what it has started holds its output open', async () => {
  const begun = performance.now();
  await assert.rejects(run('sh', ['-c', 'sleep 30 & wait'], { timeoutMs: 200, withGroup: true }), {
    reason: 'Timeout',
    message: /sh did not end within 200 ms/,
  });
  await assert.rejects(run('sh', ['-c', 'sleep 7; true'], { timeoutMs: 200 }), { reason: 'Timeout' });
  assert.ok(performance.now() - begun < 5000, `${performance.now() - begun} ms`);
});

test('what a command of others has started is killed along with it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-child-'));
  try {
    const file = join(directory, 'pid');
    await assert.rejects(run('sh', ['-c', `sleep 30 & echo $! >${file}; wait`], { timeoutMs: 500, withGroup: true }));
    const pid = Number(await readFile(file, 'utf8'));
    const isThere = async () =>
      existsSync(`/proc/${pid}`) && !/\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z '));
    for (let tries = 0; tries < 100 && (await isThere()); tries++) await systemClock.sleep(20);
    assert.equal(await isThere(), false);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
