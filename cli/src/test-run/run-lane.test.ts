import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runLane } from './run-lane.ts';

const root = join(import.meta.dirname, '../../..');

test('a run tells what it counted, and the files in which a test failed or that fell over', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lane-'));
  const write = async (name: string, text: string) => {
    const file = join(directory, name);
    await writeFile(file, `import { describe, test } from 'node:test';\n${text}`);
    return file;
  };
  try {
    const files = [
      await write('good.test.mjs', "test('good', () => {});"),
      await write(
        'deep.test.mjs',
        "describe('deep', () => { for (const n of [1, 2]) test(String(n), () => { throw 1; }); });",
      ),
      await write('killed.test.mjs', "process.kill(process.pid, 'SIGKILL');"),
    ];
    // Node's runner would take a run within a run for a part of its own.
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const run = (some: string[]) => runLane({ root, env, files: some, atOnce: 1, print: () => {} });
    const end = await run(files);
    assert.notEqual(end.code, 0);
    assert.deepEqual(end.failed.map((file) => file.split('/').at(-1)).sort(), ['deep.test.mjs', 'killed.test.mjs']);
    assert.deepEqual([end.counts.get('pass'), end.counts.get('fail')], [1, 3]);
    const good = await run(files.slice(0, 1));
    assert.deepEqual([good.code, good.failed], [0, []]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
