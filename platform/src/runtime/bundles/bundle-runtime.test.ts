import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, createReadStream, createWriteStream, openSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger } from '../../base/log.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import { channelName } from '../../vmm/check-spec.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import { FakeAgents } from '../agent/fake-agent.ts';
import { BundlePaths } from './bundle-records.ts';
import type { BundleEvent, BundleRuntime, BundleStdio } from './bundle-runtime.ts';
import { createBundleRuntime } from './create-bundle-runtime.ts';
import type { ShareMounts } from './share-mounts.ts';

const isolated = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

/** What a CNI has left in a network namespace. */
const joined = {
  mac: '02:00:00:00:00:01',
  mtu: 1400,
  ipv4: { address: '10.88.0.2', prefixLength: 16, gateway: '10.88.0.1' },
  ipv6: { address: 'fd88::2', prefixLength: 64, gateway: 'fd88::1' },
  moreAddresses: [{ address: '10.89.0.2', prefixLength: 16 }],
  routes: [{ destination: '10.90.0.0/16', gateway: '10.88.0.9' }],
  nameservers: [],
};

/** A host whose machines and guests outlive the runtime. */
class World implements AsyncDisposable {
  readonly directory: string;
  readonly host = new FakeHost();
  readonly agents = new FakeAgents();
  readonly network = newFakeNetworkState();
  readonly bound = new Map<string, string[]>();
  runtime!: BundleRuntime;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'bundles-')));
    await world.restart();
    return world;
  }

  /** As after kill -9: nothing of the old runtime's memory is left. */
  async restart(): Promise<void> {
    const network = new FakeNetwork({ state: this.network });
    await network.start();
    this.runtime = createBundleRuntime({
      vmms: { vm: new FakeVmm(this.host) },
      network,
      joinNetns: {
        attach: async ({ id }) => ({ sandboxId: id, tapName: 'tap0', ...joined }),
        adopt: async () => {},
        detach: async () => {},
      },
      connectAgent: this.agents.connect,
      run: this.directory,
      log: silentLogger,
      mounts: this.mounts(),
    });
    await this.runtime.recover();
  }

  mounts(): ShareMounts {
    return {
      prepare: async (share) => void (await mkdir(share, { recursive: true })),
      bind: async (part, rootfs, carried) =>
        void this.bound.set(part, [rootfs, ...carried.map(({ source }) => source)]),
      release: async (path) => {
        for (const part of this.bound.keys()) if (part.startsWith(path)) this.bound.delete(part);
        await rm(path, { recursive: true, force: true });
      },
    };
  }

  async container(id: string, args: string[], stdio: BundleStdio = {}, more: object = {}): Promise<void> {
    await this.runtime.createSandbox({ id, handler: 'vm', hostname: id, annotations: {}, network: 'none' });
    await this.bundle(id, args, more);
    await this.runtime.createContainer({
      id,
      sandboxId: id,
      bundle: this.path(id),
      rootfs: '/rootfs',
      stdio,
      tty: false,
    });
  }

  async bundle(id: string, args: string[], more: object = {}): Promise<void> {
    await mkdir(this.path(id), { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      process: { args, cwd: '/' },
      root: { path: 'rootfs' },
      linux: { namespaces: isolated },
      ...more,
    };
    await writeFile(join(this.path(id), 'config.json'), JSON.stringify(config));
  }

  path = (name: string) => join(this.directory, `bundle-${name}`);

  fifo(name: string): string {
    const path = join(this.directory, name);
    execFileSync('mkfifo', [path]);
    return path;
  }

  guest() {
    const channel = [...this.host.machines.keys()][0]!;
    return this.agents.guest(join(channel, channelName));
  }

  async [Symbol.asyncDispose]() {
    await this.runtime.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !isSo(); ) {
    assert.ok(performance.now() < endMs, `never: ${isSo}`);
    await delay(10);
  }
}

const read = async (path: string) => {
  let text = '';
  for await (const chunk of createReadStream(path)) text += chunk;
  return text;
};

test("a container's output reaches its FIFO, which ends with it; its exit code is kept until it is deleted", async () => {
  await using world = await World.create();
  const stdout = world.fifo('out');
  const stderr = world.fifo('err');
  const [text, errors] = [read(stdout), read(stderr)];
  await world.container('one', ['echo', 'hello'], { stdout, stderr });
  await world.runtime.start('one');
  assert.equal((await world.runtime.wait({ containerId: 'one' })).exitCode, 0);
  assert.equal(await text, 'hello\n');
  assert.equal(await errors, '');
  assert.equal(world.runtime.container('one').state, 'stopped');
  assert.equal((await world.runtime.delete('one')).exitCode, 0);
  await world.runtime.deleteSandbox('one');
  const paths = new BundlePaths(world.directory);
  assert.deepEqual(await readdir(paths.containers()), []);
  assert.deepEqual(await readdir(paths.sandboxes()), []);
  assert.deepEqual(await readdir(paths.shares()), []);
  assert.equal(world.host.machines.size, 0);
  assert.equal(world.bound.size, 0);
});

test('a machine is told all addresses and routes of the namespace that it joins, those of IPv6 too', async () => {
  await using world = await World.create();
  const network = { network: 'netns', netnsPath: '/run/netns/pod' } as const;
  await world.runtime.createSandbox({ id: 'pod', handler: 'vm', hostname: 'pod', annotations: {}, ...network });
  await until(() => world.guest().setupDone !== undefined);
  const { nameservers: _, ipv4, ...rest } = joined;
  assert.deepEqual(world.guest().setupDone?.network, { ...rest, ...ipv4 });
});

test('stdin is carried to its end, which comes when the client says so and has left', async () => {
  await using world = await World.create();
  const stdin = world.fifo('in');
  const stdout = world.fifo('out');
  const text = read(stdout);
  await world.container('cat', ['cat'], { stdin, stdout });
  await world.runtime.start('cat');
  const writer = createWriteStream(stdin);
  writer.write('first ');
  writer.end('second');
  await new Promise<void>((resolve) => writer.on('close', () => resolve()));
  await world.runtime.closeStdin({ containerId: 'cat' });
  assert.equal(await text, 'first second');
  assert.equal((await world.runtime.wait({ containerId: 'cat' })).exitCode, 0);
});

test('a container and what it says are taken up by the next process after kill -9', async () => {
  await using world = await World.create();
  const stdout = world.fifo('out');
  const text = read(stdout);
  await world.container('long', ['sleep'], { stdout });
  await world.runtime.start('long');
  const before = world.runtime;
  await world.restart();
  await before.close();
  assert.equal(world.runtime.container('long').state, 'running');
  await world.runtime.kill({ containerId: 'long' }, 15);
  assert.equal((await world.runtime.wait({ containerId: 'long' })).exitCode, 143);
  assert.equal(await text, '');
});

test('a machine that dies while nobody is there has ended its containers', async () => {
  await using world = await World.create();
  await world.container('lost', ['sleep']);
  await world.runtime.start('lost');
  await world.runtime.close();
  const [directory] = world.host.machines.keys();
  world.host.remove(directory!, 'killed');
  await world.restart();
  assert.equal(world.runtime.container('lost').state, 'stopped');
  const ended = await world.runtime.waitSandbox(world.runtime.container('lost').sandboxId);
  assert.deepEqual([ended.state, ended.message], ['notready', 'the machine ended while the runtime was down']);
  assert.ok(ended.endedAtUnixNanos! > ended.createdAtUnixNanos);
  assert.equal((await world.runtime.wait({ containerId: 'lost' })).exitCode, 137);
  assert.equal((await world.runtime.delete('lost')).exitCode, 137);
});

test('exec has a process, stdio and an exit code of its own', async () => {
  await using world = await World.create();
  await world.container('main', ['sleep']);
  await world.runtime.start('main');
  const stdout = world.fifo('exec-out');
  const process = { args: ['sh', '-c', 'exit 7'], cwd: '/' };
  const text = read(stdout);
  await world.runtime.addExec({ containerId: 'main', execId: 'e', process, stdio: { stdout }, tty: false });
  assert.ok((await world.runtime.startExec('main', 'e')).guestPid > 0);
  assert.equal((await world.runtime.wait({ containerId: 'main', execId: 'e' })).exitCode, 7);
  assert.equal(await text, '');
  assert.equal((await world.runtime.deleteExec('main', 'e')).exitCode, 7);
  assert.throws(() => world.runtime.exec('main', 'e'), { reason: 'NotFound' });
  assert.equal(world.runtime.container('main').state, 'running');
});

test('the size of its terminal may be told before an exec is started, and changed afterwards', async () => {
  await using world = await World.create();
  await world.container('main', ['sleep']);
  await world.runtime.start('main');
  const ref = { containerId: 'main', execId: 'e' };
  await world.runtime.addExec({ ...ref, process: { args: ['sleep'], cwd: '/' }, stdio: {}, tty: true });
  await world.runtime.resize(ref, 99, 33);
  await world.runtime.startExec('main', 'e');
  const exec = [...world.guest().containers.values()].find(({ request }) => request.id.startsWith('exec-'))!;
  assert.deepEqual(exec.terminal, { columns: 99, rows: 33 });
  await world.runtime.resize(ref, 80, 24);
  assert.deepEqual(exec.terminal, { columns: 80, rows: 24 });
  await world.runtime.kill(ref, 9);
});

test('an exec process outlives the runtime, as does what it says and how it ends', async () => {
  await using world = await World.create();
  await world.container('main', ['sleep']);
  await world.runtime.start('main');
  const [stdin, stdout] = [world.fifo('exec-in'), world.fifo('exec-out')];
  const add = (execId: string, args: string[], stdio: BundleStdio = {}) =>
    world.runtime.addExec({ containerId: 'main', execId, process: { args, cwd: '/' }, stdio, tty: false });
  // A reader that stays, as a holder's or a relay's.
  const reader = new Socket({ fd: openSync(stdout, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
  let text = '';
  reader.on('data', (data) => (text += data));
  await add('cat', ['cat'], { stdin, stdout });
  await world.runtime.startExec('main', 'cat');
  const writer = openSync(stdin, constants.O_RDWR | constants.O_NONBLOCK);
  writeSync(writer, 'before ');
  await until(() => text === 'before ');
  await add('sleep', ['sleep']);
  await world.runtime.startExec('main', 'sleep');
  await add('waits', ['sh', '-c', 'exit 4']);
  const before = world.runtime;
  await world.restart();
  await before.close();
  assert.equal(world.runtime.exec('main', 'cat').state, 'running');
  writeSync(writer, 'after');
  await until(() => text === 'before after');
  await world.runtime.kill({ containerId: 'main', execId: 'sleep' }, 15);
  assert.equal((await world.runtime.wait({ containerId: 'main', execId: 'sleep' })).exitCode, 143);
  assert.equal((await world.runtime.startExec('main', 'waits')).state, 'running');
  assert.equal((await world.runtime.wait({ containerId: 'main', execId: 'waits' })).exitCode, 4);
  await world.restart();
  assert.equal((await world.runtime.deleteExec('main', 'waits')).exitCode, 4);
  assert.equal((await world.runtime.deleteExec('main', 'sleep')).exitCode, 143);
  await world.runtime.kill({ containerId: 'main', execId: 'cat' }, 9);
  await world.runtime.wait({ containerId: 'main', execId: 'cat' });
  await world.runtime.deleteExec('main', 'cat');
  assert.deepEqual(await readdir(join(world.directory, 'bundles', 'execs')), []);
  assert.deepEqual([...world.guest().containers.keys()], ['main']);
  closeSync(writer);
  reader.destroy();
});

test('an exec that ended while nobody was there tells its own exit code, and one whose machine died 137', async () => {
  await using world = await World.create();
  await world.container('main', ['sleep']);
  await world.runtime.start('main');
  for (const execId of ['ends', 'dies']) {
    const process = { args: ['sleep'], cwd: '/' };
    await world.runtime.addExec({ containerId: 'main', execId, process, stdio: {}, tty: false });
    await world.runtime.startExec('main', execId);
  }
  const guest = world.guest();
  await world.runtime.close();
  [...guest.containers.values()].find((one) => one.request.id.startsWith('exec-'))!.signal(10);
  await world.restart();
  assert.equal((await world.runtime.wait({ containerId: 'main', execId: 'ends' })).exitCode, 138);
  const [directory] = world.host.machines.keys();
  world.host.remove(directory!, 'killed');
  assert.equal((await world.runtime.wait({ containerId: 'main', execId: 'dies' })).exitCode, 137);
});

test('a running container is not deleted unless forced, and a stopped one is not killed', async () => {
  await using world = await World.create();
  await world.container('busy', ['sleep']);
  await world.runtime.start('busy');
  await assert.rejects(world.runtime.delete('busy'), { reason: 'FailedPrecondition' });
  await world.runtime.kill({ containerId: 'busy' }, 9);
  await world.runtime.wait({ containerId: 'busy' });
  await assert.rejects(world.runtime.kill({ containerId: 'busy' }, 9), { reason: 'NotFound' });
  await assert.rejects(world.container('busy', ['sleep']), { reason: 'AlreadyExists' });
});

test('pause and resume are told, kept and refused out of turn', async () => {
  await using world = await World.create();
  const events: string[] = [];
  const stop = new AbortController();
  const feed = world.runtime.events(stop.signal);
  const following = (async () => {
    for await (const event of feed) events.push((event as BundleEvent).type);
  })();
  await world.container('still', ['sleep']);
  await assert.rejects(world.runtime.pause('still'), { reason: 'FailedPrecondition' });
  await world.runtime.start('still');
  await world.runtime.pause('still');
  assert.equal(world.guest().container('still').frozen, true);
  await world.restart();
  assert.equal(world.runtime.container('still').state, 'paused');
  await world.runtime.resume('still');
  assert.equal(world.guest().container('still').frozen, false);
  stop.abort();
  await following;
  assert.deepEqual(events, ['created', 'started', 'paused']);
});

test('what a machine cannot keep is refused by name, and nothing is left of the container', async () => {
  await using world = await World.create();
  await assert.rejects(
    world.container('gpu', ['true'], {}, { linux: { namespaces: isolated, devices: [{ path: '/dev/nvidia0' }] } }),
    {
      reason: 'Unsupported',
      message: /\/dev\/nvidia0/,
    },
  );
  assert.deepEqual(world.runtime.list(), []);
  await assert.rejects(readFile(join(world.directory, 'bundles', 'containers', 'gpu.json')), { code: 'ENOENT' });
});
