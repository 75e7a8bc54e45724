import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

async function outcome(text: string, times: number): Promise<{ code: number | null; pass: number; fail: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-unsteady-'));
  try {
    const file = join(directory, 'a.test.mjs');
    await writeFile(file, text);
    const args = [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'run.ts'),
      file,
      '--times',
      String(times),
    ];
    // Node's runner tells its files apart by this; the one below is a run of its own.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    const count = (what: string) => Number(new RegExp(`^\\S+ ${what} (\\d+)$`, 'm').exec(stdout)?.[1]);
    return { code: status, pass: count('pass'), fail: count('fail') };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('what is steady passes each time, and a describe comes again with its tests', async () => {
  const text = `
    import assert from 'node:assert/strict';
    import { describe, it, test } from 'node:test';
    test('alone', () => {});
    describe('several', () => { let n = 0; it('one', () => { n++; }); it('two', () => assert.equal(n, 1)); });`;
  assert.deepEqual(await outcome(text, 40), { code: 0, pass: 120, fail: 0 });
});

test('a guess of how long a file takes is found out', async () => {
  const text = `
    import assert from 'node:assert/strict';
    import { stat } from 'node:fs/promises';
    import { test } from 'node:test';
    import { setTimeout as delay } from 'node:timers/promises';
    test('guesses', async () => {
      let isDone = false;
      const work = stat('/').then(() => { isDone = true; });
      await delay(2);
      assert.ok(isDone);
      await work;
    });`;
  const { code, fail } = await outcome(text, 200);
  assert.equal(code, 1);
  assert.ok(fail > 0 && fail < 200, `${fail} of 200`);
});
