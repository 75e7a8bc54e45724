import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BundlePaths } from './bundle-records.ts';
import { type BundleExecRecord, loadBundleExecs, saveBundleExec } from './exec-records.ts';

test('records are read again whole; half a write and what is torn are taken away, not taken for one', async (t) => {
  const run = await mkdtemp(join(tmpdir(), 'sampan-records-'));
  t.after(() => rm(run, { recursive: true }));
  const paths = new BundlePaths(run);
  await paths.make();
  const request = { containerId: 'c', execId: 'e', process: { args: ['true'], cwd: '/' }, stdio: {}, tty: false };
  const record: BundleExecRecord = { id: 'exec-1', request, state: 'created', guestPid: 7 };
  await saveBundleExec(paths, record);
  const [name = ''] = await readdir(paths.execs());
  await writeFile(join(paths.execs(), `${name}.0a1b2c.tmp`), JSON.stringify({ ...record, state: 'running' }));
  await writeFile(join(paths.execs(), 'torn.json'), '{"id":');
  assert.deepEqual(await loadBundleExecs(paths), [record]);
  assert.deepEqual(await readdir(paths.execs()), [name]);
});
