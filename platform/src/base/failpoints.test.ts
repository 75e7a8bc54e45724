import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../test/integration/support/wait.ts';
import { failpointsFromEnvironment } from './failpoints.ts';

let directory: string;
let file: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'failpoints-'));
  file = join(directory, 'points');
});
after(() => rm(directory, { recursive: true, force: true }));
const points = () => failpointsFromEnvironment({ SAMPAN_FAILPOINTS: file })!;

test('there are no failpoints unless the environment asks for them', () => {
  assert.equal(failpointsFromEnvironment({}), undefined);
});

test('a step fails once with the code that was asked for, and no other step does', async () => {
  await writeFile(file, 'machine fail ENOSPC');
  const step = points();
  await step('record');
  await assert.rejects(async () => step('machine'), { code: 'ENOSPC' });
  await step('machine');
});

test('a step is held until the file says otherwise, and tells that it is', async () => {
  await writeFile(file, 'machine hold');
  let passed = false;
  const held = (async () => {
    await points()('machine');
    passed = true;
  })();
  await until('it tells', async () => (await readFile(file, 'utf8')) === 'machine held');
  await delay(50);
  assert.equal(passed, false);
  await writeFile(file, '');
  await held;
});

test('a process is killed at its step, and the next one is not', async () => {
  const script = `
    const { failpointsFromEnvironment } = await import(${JSON.stringify(join(import.meta.dirname, 'failpoints.ts'))});
    await failpointsFromEnvironment()('machine');
    process.exit(3);`;
  await writeFile(file, 'machine kill');
  const run = () =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { env: { SAMPAN_FAILPOINTS: file } });
  assert.equal(run().signal, 'SIGKILL');
  assert.equal(run().status, 3);
});
