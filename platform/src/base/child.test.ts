import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../test/integration/support/wait.ts';
import { run } from './child.ts';

test('a command that takes too long ends for its caller, though what it has started holds its output open', async () => {
  const begun = performance.now();
  await assert.rejects(run('sh', ['-c', 'sleep 60 & wait'], { timeoutMs: 200, withGroup: true }), {
    reason: 'Timeout',
    message: /sh did not end within 200 ms/,
  });
  await assert.rejects(run('sh', ['-c', 'sleep 60; true'], { timeoutMs: 200 }), { reason: 'Timeout' });
  assert.ok(performance.now() - begun < 50_000, `${performance.now() - begun} ms`);
});

test('what a command of others has started is killed along with it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-child-'));
  try {
    const file = join(directory, 'pid');
    let pid = 0;
    // Again with more time where that was not enough to start anything.
    for (let timeoutMs = 500; pid === 0 && timeoutMs < 60_000; timeoutMs *= 4) {
      await assert.rejects(run('sh', ['-c', `sleep 300 & echo $! >${file}; wait`], { timeoutMs, withGroup: true }));
      pid = Number(await readFile(file, 'utf8').catch(() => ''));
    }
    assert.ok(pid > 0, 'it was started');
    const isThere = async () =>
      existsSync(`/proc/${pid}`) && !/\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z '));
    await until('it has ended', async () => !(await isThere()));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a command that nobody wants any more is not started', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-child-'));
  try {
    const file = join(directory, 'started');
    await assert.rejects(run('touch', [file], { signal: AbortSignal.abort(new Error('over')) }), /over/);
    assert.equal(existsSync(file), false);
  } finally {
    await rm(directory, { recursive: true });
  }
});
