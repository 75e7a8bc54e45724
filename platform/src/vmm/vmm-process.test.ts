import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { cpuNanosOf, isAlive, killAndWait, parseProcessId, pssBytesOf } from './vmm-process.ts';

async function startTimeOf(pid: number): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

test('a process is alive under its own start time alone, and dead once it was killed', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const closed = new Promise((resolve) => child.once('close', resolve));
  try {
    const id = { pid: child.pid!, startTime: await startTimeOf(child.pid!) };
    assert.equal(await isAlive(id), true);
    assert.equal(await isAlive({ ...id, startTime: id.startTime + 1 }), false, 'a reused pid is another process');
    assert.ok((await cpuNanosOf(id)) !== undefined);
    assert.ok((await pssBytesOf(id)) > 0);
    await killAndWait({ ...id, startTime: id.startTime + 1 }, systemClock);
    assert.equal(await isAlive(id), true, 'another process is not killed');
    await killAndWait(id, systemClock);
    await closed;
    assert.equal(await isAlive(id), false);
    assert.equal(await cpuNanosOf(id), undefined);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a pid file that says anything else names no process', () => {
  assert.deepEqual(parseProcessId('12 345\n'), { pid: 12, startTime: 345 });
  for (const text of ['', '12', '12 345 6', '-1 5', 'x 5', '99999999999 1'])
    assert.equal(parseProcessId(text), undefined);
});
