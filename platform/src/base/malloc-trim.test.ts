import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const program = `
  import { readFileSync } from 'node:fs';
  import { setTimeout as delay } from 'node:timers/promises';
  import { trimMalloc } from ${JSON.stringify(new URL('malloc-trim.ts', import.meta.url).href)};
  const heapMib = () => Number(/\\[heap\\][^]*?\\nRss:\\s+(\\d+)/.exec(readFileSync('/proc/self/smaps', 'utf8'))[1]) / 1024;
  let buffers = Array.from({ length: 20_000 }, () => new ArrayBuffer(3_000));
  buffers = buffers.filter((_, index) => index % 100 === 0);
  gc();
  const before = heapMib();
  let after = before;
  // What is collected is freed by other threads, in their time.
  for (let tries = 0; tries < 300 && after > before / 3; tries++) {
    await delay(100);
    trimMalloc();
    after = heapMib();
  }
  buffers.at(-1).resizable;
  process.stdout.write(JSON.stringify({ before, after }));
`;

test('what was freed beneath something that lives goes back to the system', () => {
  const env = { ...process.env, MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' };
  const args = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
  const { before, after } = JSON.parse(
    execFileSync(process.execPath, args, { env, encoding: 'utf8', timeout: 120_000 }),
  );
  assert.ok(before > 40, `malloc held ${before} MiB`);
  assert.ok(after < before / 3, `of ${before} MiB ${after} are left`);
});
