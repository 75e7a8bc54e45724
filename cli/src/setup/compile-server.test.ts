import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileServer } from './compile-server.ts';

test("a server's code is compiled once, and again when a source of it has changed", async () => {
  const root = await mkdtemp(join(tmpdir(), 'sampan-compile-'));
  try {
    const cache = join(root, 'cache');
    const said = join(root, 'said');
    await mkdir(join(root, 'platform/src/cmd'), { recursive: true });
    await mkdir(join(root, 'api/src'), { recursive: true });
    const script = join(root, 'platform/src/cmd/compile-all.ts');
    await writeFile(
      script,
      `import { appendFileSync } from 'node:fs';\nappendFileSync(${JSON.stringify(said)}, 'x' as string);\n`,
    );
    await utimes(script, 1, 1);
    const compile = () => compileServer({ root, flags: [], environment: { NODE_COMPILE_CACHE: cache } });
    await compile();
    await compile();
    const runs = async () => (await readFile(said, 'utf8')).length;
    assert.equal(await runs(), 1);
    assert.ok(
      (await readdir(cache)).some((name) => name.startsWith(process.version)),
      'Node kept what it compiled',
    );
    const source = join(root, 'api/src/new.ts');
    await writeFile(source, '');
    const later = Date.now() / 1000 + 60;
    await utimes(source, later, later);
    await compile();
    assert.equal(await runs(), 2);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
