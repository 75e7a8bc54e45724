import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
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

interface FakeVmm {
  directory: string;
  vmm: ChildProcess;
  /** To whoever is connected. */
  tell(event: object): void;
}

/** A directory with a process in QEMU's place, and a monitor that greets and answers what `answers` has an answer to. */
async function withVmm(answers: Record<string, unknown>, more: object, body: (fake: FakeVmm) => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-find-'));
  const vmm = spawn('sleep', ['600']);
  const sockets = new Set<Socket>();
  const monitor = createServer((socket: Socket) => {
    sockets.add(socket);
    vmm.once('exit', () => socket.destroy());
    socket.on('error', () => {});
    socket.write('{"QMP":{"version":{}}}\r\n');
    socket.on('data', (text) => {
      for (const line of String(text).trim().split('\n')) {
        const { execute, id } = JSON.parse(line);
        if (execute in answers) socket.write(`${JSON.stringify({ return: answers[execute], id })}\r\n`);
      }
    });
  });
  try {
    await once(monitor.listen(join(directory, socketNames.monitor)), 'listening');
    const stat = await readFile(`/proc/${vmm.pid}/stat`, 'utf8');
    await writeFile(join(directory, 'pid'), `${vmm.pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`);
    await writeMachineRecord(directory, {
      ...{ format: 1, id: 'm', shape: { vcpus: 1, memoryMib: 256 }, origin: 'template', state: 'running' },
      ...{ uid: 200_000, cgroups: [], slots: [], ...more },
      cpuLimit: { millicores: 1000, fromMs: Number.MAX_SAFE_INTEGER },
    });
    const tell = (event: object) => sockets.forEach((socket) => void socket.write(`${JSON.stringify(event)}\r\n`));
    await body({ directory, vmm, tell });
  } finally {
    vmm.kill('SIGKILL');
    monitor.close();
    await rm(directory, { recursive: true });
  }
}

const context = { clock: systemClock, log: silentLogger } as QemuContext;

test('a machine whose file server died while nobody was there says so, however slow its VMM is to answer', () =>
  withVmm({ qmp_capabilities: {} }, { shares: [{ tag: 'host', directory: '/nowhere' }] }, async ({ directory }) => {
    const machine = await findMachine(context, directory);
    assert.deepEqual(await machine?.exited, { kind: 'killed', message: 'the file server of share host ended' });
    assert.equal(await machine?.alive(), false);
  }));

const stuck = {
  kind: 'killed',
  message: 'the host cannot run this guest any further: KVM internal error. Suberror: 1',
};

test('a machine that KVM gives up on ends, and says why: its VMM would stand there for ever', () => {
  const answers = { qmp_capabilities: {}, 'query-status': { status: 'running' } };
  return withVmm(answers, {}, async ({ directory, tell }) => {
    const machine = await findMachine(context, directory);
    assert.equal(await machine?.alive(), true);
    await writeFile(join(directory, 'vmm.log'), 'KVM internal error. Suberror: 1\nRAX=0000000000000000 RBX=0\n');
    answers['query-status'] = { status: 'paused' };
    tell({ event: 'STOP' });
    // What QEMU answers in turn it has answered after the event.
    answers['query-status'] = { status: 'internal-error' };
    tell({ event: 'STOP' });
    assert.deepEqual(await machine?.exited, stuck);
  });
});

test('a machine that KVM gave up on while nobody was there is found, and says so at once', () =>
  withVmm({ qmp_capabilities: {}, 'query-status': { status: 'internal-error' } }, {}, async ({ directory }) => {
    await writeFile(join(directory, 'vmm.log'), 'KVM internal error. Suberror: 1\n');
    assert.deepEqual(await (await findMachine(context, directory))?.exited, stuck);
  }));

test('a machine that stands still since somebody told it to is left so', () => {
  const answers = { qmp_capabilities: {}, 'query-status': { status: 'running' } };
  return withVmm(answers, {}, async ({ directory, tell }) => {
    const machine = await findMachine(context, directory);
    answers['query-status'] = { status: 'paused' };
    tell({ event: 'STOP' });
    await systemClock.sleep(50);
    assert.equal(await machine?.alive(), true);
    machine?.disconnect();
  });
});
