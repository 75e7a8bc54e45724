/** kill -9 of the server that holds the runtime, at work and at every kind of step: Pods go on, logs lose no line, nothing is leaked. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as cri from '../../src/runtime/generated/cri.ts';
import { missingParts, RuntimeLab, smallShape } from './runtime-lab.ts';
import { until } from './support/wait.ts';

const skip = missingParts();
const victimScript = join(import.meta.dirname, 'runtime-victim.ts');

function startVictim(...args: string[]): ChildProcess {
  return spawn(process.execPath, [victimScript, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Processes whose standard output is a file of this instance: its VMMs write their log there. */
async function machinesOf(run: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const log = await readlink(`/proc/${pid}/fd/1`).catch(() => '');
    if (log.startsWith(`${run}/`)) found.push(pid);
  }
  return found;
}

test('a Pod that writes goes on while the server is killed twice, and its log has every line once', {
  skip,
}, async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-runtime-lab-'));
  const victim = startVictim(home, 'write');
  t.after(() => victim.kill('SIGKILL'));
  const [first] = await once(victim.stdout!, 'data');
  const { podSandboxId, containerId } = JSON.parse(String(first));
  const path = join(home, 'logs', 'writer', 'main.log');
  const size = async () => (await readFile(path)).length;
  await until('some lines', async () => ((await size()) > 20_000 ? true : undefined));
  victim.kill('SIGKILL');
  await once(victim, 'exit');

  const second = startVictim(home, 'adopt');
  t.after(() => second.kill('SIGKILL'));
  const before = await size();
  await until('more lines', async () => ((await size()) > before + 20_000 ? true : undefined));
  second.kill('SIGKILL');
  await once(second, 'exit');

  await using lab = await RuntimeLab.open({ home });
  assert.equal((await lab.status(containerId)).state, cri.ContainerState.CONTAINER_RUNNING);
  assert.equal((await machinesOf(lab.instance.run)).length, 1, 'the test sees machines where there are some');
  assert.equal((await lab.exec(containerId, 'echo alive')).trim(), 'alive');
  // The two streams are read side by side: the end of one says nothing of the other's.
  await until('the last lines', async () => {
    const log = await lab.log('writer');
    return log.includes('stderr F end') && log.includes('stdout F line 29999');
  });
  const lines = (await lab.log('writer')).filter((line) => line.startsWith('stdout'));
  assert.equal(lines.length, 30_000);
  for (const [index, line] of lines.entries()) assert.equal(line, `stdout F line ${index}`);
  await lab.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await lab.traces(), []);
});

test('killed at any kind of step, the next server converges and leaks no machine, tap, lease or file', {
  skip,
}, async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-runtime-lab-'));
  {
    const lab = await RuntimeLab.open({ home });
    await lab.vmm.prepareTemplate(smallShape);
    await lab.close();
  }
  const steps = [
    'sandbox-machine',
    'sandbox-ready',
    'sandbox-answer',
    'image-attach',
    'container-guest',
    'container-created',
  ];
  const later = [
    'container-start',
    'container-started',
    'container-exit',
    'release-machine',
    'release-network',
    'release-scratch',
    'remove-record',
  ];
  for (const step of [...steps, ...later])
    await t.test(`killed at ${step}`, async () => {
      const victim = startVictim(home, 'die', step);
      const [, signal] = await once(victim, 'exit');
      assert.equal(signal, 'SIGKILL', 'the step was reached');
      const lab = await RuntimeLab.open({ home });
      for (const { id } of (await lab.runtime.listPodSandbox({})).items ?? [])
        await lab.runtime.removePodSandbox({ podSandboxId: id });
      assert.deepEqual(await lab.traces(), []);
      assert.deepEqual(await machinesOf(lab.instance.run), []);
      await lab.close();
    });
  await using lab = await RuntimeLab.open({ home });
  assert.deepEqual(await lab.traces(), []);
});
