/** Clients' FIFOs over the death of the process that carries what goes through them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FakeClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import { FakeAgents } from '../agent/fake-agent.ts';
import type { BundleRuntime, BundleStdio } from './bundle-runtime.ts';
import { createBundleRuntime } from './create-bundle-runtime.ts';
import type { StdioKeeper } from './held-stdio.ts';

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants;
const isolated = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

/** As the relay does it. */
class FakeKeeper implements StdioKeeper {
  readonly open = new Map<string, number>();

  async hold(side: 'output' | 'input', paths: string[]): Promise<void> {
    for (const path of paths)
      if (!this.open.has(path))
        this.open.set(path, openSync(path, (side === 'output' ? O_RDWR : O_RDONLY) | O_NONBLOCK));
  }

  async release(paths: string[]): Promise<void> {
    for (const path of paths) {
      const fd = this.open.get(path);
      if (fd !== undefined) closeSync(fd);
      this.open.delete(path);
    }
  }
}

class World implements AsyncDisposable {
  readonly directory: string;
  readonly keeper = new FakeKeeper();
  readonly clock = new FakeClock();
  /** The step at which nothing goes on. */
  diesAt: string | undefined;
  died!: Promise<void>;
  readonly host = new FakeHost();
  readonly #agents = new FakeAgents();
  readonly #network = newFakeNetworkState();
  runtime!: BundleRuntime;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'held-stdio-')));
    await world.open();
    const pod = { id: 'pod', handler: 'vm', hostname: 'pod', annotations: {}, network: 'none' } as const;
    await world.runtime.createSandbox(pod);
    return world;
  }

  async open(): Promise<void> {
    const network = new FakeNetwork({ state: this.#network });
    await network.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.died = promise;
    const dies = (step: string) => {
      if (step !== this.diesAt) return;
      resolve();
      return new Promise<void>(() => {});
    };
    this.runtime = createBundleRuntime({
      vmms: { vm: new FakeVmm(this.host) },
      network,
      connectAgent: this.#agents.connect,
      run: this.directory,
      log: silentLogger,
      keeper: this.keeper,
      clock: this.clock,
      onStep: dies,
      mounts: {
        prepare: async (share) => void (await mkdir(share, { recursive: true })),
        bind: async () => {},
        release: async () => {},
      },
    });
    await this.runtime.recover();
  }

  /** Its descriptors are closed, as those of a process that died. */
  async restart(): Promise<void> {
    await this.runtime.close();
    await this.open();
  }

  async start(id: string, args: string[], stdio: BundleStdio): Promise<void> {
    const bundle = join(this.directory, `bundle-${id}`);
    await mkdir(bundle, { recursive: true });
    const config = {
      ociVersion: '1.0.2',
      process: { args, cwd: '/' },
      root: { path: 'r' },
      linux: { namespaces: isolated },
    };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    await this.runtime.createContainer({ id, sandboxId: 'pod', bundle, rootfs: '/rootfs', stdio, tty: false });
    await this.runtime.start(id);
  }

  fifo(name: string): string {
    const path = join(this.directory, name);
    execFileSync('mkfifo', [path]);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close();
    await this.keeper.release([...this.keeper.open.keys()]);
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What there is to be read; `end` once nobody has it open for writing. */
class Client {
  text = '';
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, O_RDONLY | O_NONBLOCK);
  }

  async until(text: string): Promise<void> {
    for (const endMs = performance.now() + 60_000; this.text !== text; ) {
      assert.ok(performance.now() < endMs, `"${this.text}" instead of "${text}"`);
      this.text += this.#next();
      await delay(10);
    }
  }

  #next(): string {
    const buffer = Buffer.alloc(4096);
    try {
      const length = readSync(this.#fd, buffer);
      return length === 0 ? ' end' : buffer.toString('utf8', 0, length);
    } catch {
      return '';
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

test('a client that reads meets no end when the process dies, and reads on what the next one carries; then the end', async () => {
  await using world = await World.create();
  const names = ['one', 'two'];
  const [inputs, outputs] = [
    names.map((name) => world.fifo(`${name}-in`)),
    names.map((name) => world.fifo(`${name}-out`)),
  ];
  using first = new Client(outputs[0]!);
  using second = new Client(outputs[1]!);
  for (const [index, name] of names.entries())
    await world.start(name, ['cat'], { stdin: inputs[index]!, stdout: outputs[index]! });
  const writers = inputs.map((path) => openSync(path, O_WRONLY | O_NONBLOCK));
  for (const fd of writers) writeSync(fd, 'before');
  await first.until('before');
  await second.until('before');

  await world.runtime.close();
  // A client that wrote to a FIFO nobody reads would be ended by that.
  for (const fd of writers) writeSync(fd, ' after');
  await world.open();
  await first.until('before after');
  await second.until('before after');
  for (const fd of writers) closeSync(fd);
  for (const containerId of names) await world.runtime.closeStdin({ containerId });
  await first.until('before after end');
  await second.until('before after end');
  assert.deepEqual([...world.keeper.open.keys()], []);
});

test('a client whose container was half made when the process died meets no end before it asks again, or half a minute is over', async () => {
  await using world = await World.create();
  for (const asksAgain of [true, false]) {
    const id = `half-${asksAgain}`;
    const stdout = world.fifo(`${id}-out`);
    using client = new Client(stdout);
    world.diesAt = 'bundle-made';
    const making = world.start(id, ['cat'], { stdout });
    await world.died;
    await world.restart();
    await client.until('');
    assert.ok(world.keeper.open.has(stdout));
    making.catch(() => {});
    world.diesAt = undefined;
    if (asksAgain) {
      await world.start(id, ['echo', 'hello'], { stdout });
      await client.until('hello\n end');
    } else {
      await world.clock.advance(31_000);
      await client.until(' end');
    }
  }
});

test('an exec is held, too, and nothing stays held of what is deleted, was never made whole, or lost its machine', async () => {
  await using world = await World.create();
  const stdout = world.fifo('out');
  using client = new Client(stdout);
  await world.start('main', ['sleep'], {});
  const held = (name: string) => ({ stdin: world.fifo(`${name}-in`), stdout: world.fifo(`${name}-out`) });
  const sleep = { process: { args: ['sleep'], cwd: '/' }, tty: false };
  const cat = { containerId: 'main', execId: 'cat', process: { args: ['cat'], cwd: '/' }, tty: false };
  const stdin = world.fifo('in');
  await world.runtime.addExec({ ...cat, stdio: { stdin, stdout } });
  await world.runtime.startExec('main', 'cat');
  const writer = openSync(stdin, O_RDWR | O_NONBLOCK);
  await world.restart();
  writeSync(writer, 'hello');
  await client.until('hello');
  closeSync(writer);
  await client.until('hello end');

  const stays = held('stays');
  using _ = new Client(stays.stdout);
  await world.runtime.addExec({ containerId: 'main', execId: 'stays', ...sleep, stdio: stays });
  await world.runtime.startExec('main', 'stays');
  const never = held('never');
  using __ = new Client(never.stdout);
  await world.runtime.addExec({ containerId: 'main', execId: 'never', ...sleep, stdio: never });
  assert.ok(world.keeper.open.has(stays.stdout) && world.keeper.open.has(never.stdout));
  await world.runtime.deleteExec('main', 'never');
  assert.ok(!world.keeper.open.has(never.stdout));
  await world.runtime.close();
  world.host.remove([...world.host.machines.keys()][0]!, 'killed');
  await world.open();
  assert.deepEqual([...world.keeper.open.keys()], []);
});
