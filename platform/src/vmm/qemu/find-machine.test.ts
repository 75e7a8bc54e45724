import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { findMachine } from './find-machine.ts';
import { socketNames } from './launcher-arguments.ts';
import { writeMachineRecord } from './machine-record.ts';
import type { QemuContext } from './qemu-context.ts';

test('a machine whose file server died while nobody was there says so, however slow its VMM is to answer', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-find-'));
  // It greets, and has not yet answered for its state when it is ended.
  const vmm = spawn('sleep', ['600']);
  const monitor = createServer((socket: Socket) => {
    vmm.once('exit', () => socket.destroy());
    socket.on('error', () => {});
    socket.write('{"QMP":{"version":{}}}\r\n');
    socket.on('data', (text) => {
      const { execute, id } = JSON.parse(String(text));
      if (execute === 'qmp_capabilities') socket.write(`{"return":{},"id":${id}}\r\n`);
    });
  });
  try {
    await once(monitor.listen(join(directory, socketNames.monitor)), 'listening');
    const stat = await readFile(`/proc/${vmm.pid}/stat`, 'utf8');
    await writeFile(join(directory, 'pid'), `${vmm.pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`);
    await writeMachineRecord(directory, {
      ...{ format: 1, id: 'shares', shape: { vcpus: 1, memoryMib: 256 }, origin: 'template', state: 'running' },
      ...{ uid: 200_000, cgroups: [], slots: [], shares: [{ tag: 'host', directory: '/nowhere' }] },
      cpuLimit: { millicores: 1000, fromMs: Number.MAX_SAFE_INTEGER },
    });
    const machine = await findMachine({ clock: systemClock, log: silentLogger } as QemuContext, directory);
    assert.deepEqual(await machine?.exited, { kind: 'killed', message: 'the file server of share host ended' });
    assert.equal(await machine?.alive(), false);
  } finally {
    vmm.kill('SIGKILL');
    monitor.close();
    await rm(directory, { recursive: true });
  }
});
