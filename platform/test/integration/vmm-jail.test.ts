/**
 * The jail of a VMM, from inside: the launcher starts a program that tries to get out (fixtures/jail/probe.rs) exactly as it starts QEMU. That
 * the attempts are real ones is shown by the same program outside, as root: there they work. What is not known to work there proves nothing here.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../src/base/child.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { HostCgroups } from '../../src/vmm/qemu/host-cgroups.ts';
import { Launcher } from '../../src/vmm/qemu/launcher.ts';
import { launcherArguments } from '../../src/vmm/qemu/launcher-arguments.ts';
import { uidFor } from '../../src/vmm/qemu/qemu-context.ts';
import { launcherPath } from './support/built-parts.ts';

const source = join(import.meta.dirname, '../fixtures/jail/probe.rs');
const memoryMib = 64;
/** Standard streams, three listening sockets, root and scratch disk. */
const givenDescriptors = 8;

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (process.arch !== 'x64') return 'the probe names system calls of x86-64';
  return existsSync(launcherPath) ? undefined : `${launcherPath} missing; ./sampan test builds it`;
}

/** What depends on the kernel's build or on the machine around the host: refused inside all the same, but not shown to work outside. */
const unproven = [
  'open-memory-device',
  'socket-vsock',
  'load-bpf',
  'add-key',
  'clone-into-namespace',
  'open-by-handle',
  'raise-limits',
];

type Outcomes = Map<string, string>;

const outcomesOf = (text: string): Outcomes =>
  new Map([...text.matchAll(/^([a-z-]+) ((?:done|refused).*)$/gm)].map((match) => [match[1] ?? '', match[2] ?? '']));

describe('the jail of a VMM', { skip: obstacle() }, () => {
  let home: string;
  let probe: string;
  let neighbour: ChildProcess;
  let servers: Server[];
  let cgroups: HostCgroups;
  let places: string[];
  let words: string[];

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sampan-jail-'));
    probe = join(home, 'probe');
    const flags = ['--edition', '2021', '-C', 'target-feature=+crt-static', '-C', 'panic=abort'];
    await run('rustc', [...flags, '-o', probe, source]);
    neighbour = spawn('sleep', ['600'], { stdio: 'ignore' });
    const socket = join(home, 'neighbour.sock');
    const tcp = await listening({ host: '127.0.0.1', port: 0 });
    servers = [tcp, await listening({ path: socket })];
    const secret = join(home, 'neighbour-memory');
    await writeFile(secret, 'secret', { mode: 0o644 });
    cgroups = await HostCgroups.open('jailtst');
    places = cgroups.paths('probe');
    await cgroups.create(places);
    const { port } = tcp.address() as { port: number };
    const procs = places[0] ? join(places[0], 'cgroup.procs') : '/proc/self/cgroup';
    words = [
      String(neighbour.pid),
      secret,
      socket,
      procs,
      String(port),
      String(2 * memoryMib),
      String(givenDescriptors),
    ];
  });

  after(async () => {
    neighbour.kill();
    for (const server of servers) server.close();
    await cgroups.remove(places, { clock: systemClock, log: silentLogger });
    await cgroups.removeParents();
    await rm(home, { recursive: true, force: true });
  });

  /** As start-machine.ts and start-vmm.ts do it, but for the program. */
  async function jailed(): Promise<string> {
    const directory = join(home, 'machine');
    await mkdir(directory, { mode: 0o700 });
    const disk = join(directory, 'disk');
    await writeFile(disk, '');
    await cgroups.setMemoryLimit(places, memoryMib * 1024 * 1024);
    await cgroups.setPidsLimit(places, 128);
    const args = launcherArguments({
      ...{ mode: 'run', directory, uid: uidFor('probe'), cgroups: places, deviceNodes: [], hugePages: false },
      ...{ rootfsPath: disk, disks: [{ slot: 'scratch', path: disk, readOnly: false }] },
      ...{ program: probe, programArguments: words },
    });
    const launcher = new Launcher(launcherPath, args, systemClock);
    await launcher.started();
    const log = join(directory, 'vmm.log');
    for (let tries = 0; tries < 300; tries++) {
      const text = await readFile(log, 'utf8').catch(() => '');
      if (text.includes('end of attempts')) return text;
      await systemClock.sleep(100);
    }
    throw new Error(`the probe did not end: ${await readFile(log, 'utf8')}`);
  }

  test('whatever it tries, nothing of the host is reached; outside the same attempts succeed', async (t) => {
    // A mount namespace of its own, for the attempts that mount; everything else is the host as it is.
    const outside = outcomesOf((await run('unshare', ['--mount', probe, ...words.with(-1, '0')])).stdout);
    const inside = outcomesOf(await jailed());
    assert.ok(inside.size >= 40, `all attempts were made: ${inside.size}`);
    assert.deepEqual([...inside.keys()], [...outside.keys()]);
    const escaped = [...inside].filter(([, outcome]) => outcome === 'done').map(([name]) => name);
    assert.deepEqual(escaped, []);
    const failedOutside = [...outside].filter(([, outcome]) => outcome !== 'done').map((one) => one.join(' '));
    t.diagnostic(`not shown to work outside: ${failedOutside.join('; ') || 'none'}`);
    assert.deepEqual(
      failedOutside.filter((line) => !unproven.some((name) => line.startsWith(`${name} `))),
      [],
      'an attempt that fails outside too proves nothing',
    );
    if (!cgroups.unavailable) assert.match(inside.get('use-memory') ?? '', /killed/);
    assert.match(inside.get('fork-bomb') ?? '', /^refused after (\d+): Resource temporarily unavailable/);
  });
});

function listening(where: { host: string; port: number } | { path: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });
}
