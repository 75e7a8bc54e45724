import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silentLogger } from '../../base/log.ts';
import { openSqliteStore } from './sqlite-store.ts';

const writer = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));

it('loses no acknowledged write, and tears no transaction, when its process is killed in the middle of writing', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-store-crash-'));
  const file = join(directory, 'state.db');
  try {
    const acknowledged: [string, number][] = [];
    for (const generation of [1, 2, 3]) acknowledged.push(...(await writeAndKill(file, generation)));
    assert.ok(acknowledged.length > 600, `only ${acknowledged.length} writes were acknowledged`);

    const store = await openSqliteStore({ file, log: silentLogger });
    for (const [key, revision] of acknowledged) {
      assert.equal((await store.get(key))?.modRevision, revision, `${key} was acknowledged at revision ${revision}`);
    }
    const { entries, revision } = await store.list('/');
    const keys = new Set(entries.map((entry) => entry.key));
    for (const key of keys) {
      assert.ok(keys.has(key.endsWith('/twin') ? key.slice(0, -5) : `${key}/twin`), `${key} is there without its twin`);
    }
    assert.ok(revision >= Math.max(...acknowledged.map(([, of]) => of)));
    await store.close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

/** The acknowledged keys and their revisions, of a child killed after its first few hundred. */
function writeAndKill(file: string, generation: number): Promise<[string, number][]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, file, `${generation}`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.length > 8000 + generation * 1777) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') return reject(new Error(`the writer ended by itself (${code ?? signal})`));
      const lines = output.slice(0, output.lastIndexOf('\n')).split('\n');
      resolve(lines.map((line) => [line.split(' ')[0]!, Number(line.split(' ')[1])]));
    });
  });
}
