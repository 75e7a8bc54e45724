import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { until } from '../../../test/integration/support/wait.ts';
import { silentLogger } from '../../base/log.ts';
import { startTimeOf } from '../../base/process-start.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import { FakeHost } from '../../vmm/fake/fake-host.ts';
import { FakeVmm } from '../../vmm/fake/fake-vmm.ts';
import { FakeAgents } from '../agent/fake-agent.ts';
import type { BundleRuntime, SandboxHandler } from './bundle-runtime.ts';
import { createBundleRuntime } from './create-bundle-runtime.ts';
import { parseOciConfig } from './oci-config.ts';

type Hooks = Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>;

/** A host whose machines outlive the runtime, as does what hooks leave behind. */
class World implements AsyncDisposable {
  readonly directory: string;
  readonly host = new FakeHost();
  readonly agents = new FakeAgents();
  readonly network = newFakeNetworkState();
  readonly namespaces = new Set<string>();
  /** Sandboxes that whoever joins namespaces has something for. */
  readonly joined = new Set<string>();
  /** What a machine finds in the network namespace that hooks have filled. */
  found: object | undefined;
  onStep: (step: string) => void | Promise<void> = () => {};
  runtime!: BundleRuntime;
  #runtimes = 0;
  readonly #stands = Promise.withResolvers<void>();
  /** A runtime that counts as killed has come to its next step, and stays there. */
  readonly killedStands = this.#stands.promise;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'hooks-')));
    await world.restart();
    return world;
  }

  /** As after kill -9: nothing of the old runtime's memory is left, and what was under way in it goes no further than its next step. */
  async restart(): Promise<void> {
    const number = ++this.#runtimes;
    const network = new FakeNetwork({ state: this.network });
    await network.start();
    this.runtime = createBundleRuntime({
      vmms: { vm: new FakeVmm(this.host), namespace: new FakeVmm(this.host) },
      network,
      joinNetns: {
        attach: async ({ id }) => {
          this.joined.add(id);
          if (!this.found) throw new SampanError('FailedPrecondition', 'there is no network interface');
          return {
            ...{ sandboxId: id, tapName: 'tap0', mac: '02:00:00:00:00:01', mtu: 1400, nameservers: [] },
            ipv4: { address: '10.88.0.2', prefixLength: 16 },
          };
        },
        adopt: async () => {},
        detach: async (id) => void this.joined.delete(id),
      },
      hookNamespaces: {
        make: async (path) => void this.namespaces.add(path),
        remove: async (path) => void this.namespaces.delete(path),
        standIn: async (path) => {
          assert.ok(this.namespaces.has(path) || existsSync(path), path);
          return { pid: process.pid, close: () => {} };
        },
      },
      connectAgent: this.agents.connect,
      run: join(this.directory, 'run'),
      log: silentLogger,
      mounts: {
        prepare: async (share) => void (await mkdir(share, { recursive: true })),
        bind: async () => {},
        release: (path) => rm(path, { recursive: true, force: true }),
      },
      onStep: (step) => {
        if (number === this.#runtimes) return this.onStep(step);
        this.#stands.resolve();
        return new Promise(() => {});
      },
    });
    await this.runtime.recover();
  }

  async create(id: string, hooks: Hooks, { handler = 'namespace' as SandboxHandler, args = ['sleep', '1000'] } = {}) {
    const config = parseOciConfig(
      JSON.stringify({
        ociVersion: '1.0.2',
        process: { args, cwd: '/' },
        annotations: { of: 'mine' },
        linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
        hooks,
      }),
    );
    const hooked = { containerId: `key-${id}`, name: id, bundle: this.directory, config };
    const made = { id: `key-${id}`, handler, hostname: id, annotations: {}, network: 'none' as const };
    await this.runtime.createSandbox(made, hooked);
    const { containerId, ...rest } = hooked;
    await this.runtime.createContainer({
      ...{ ...rest, id: containerId, sandboxId: made.id, rootfs: '/rootfs', stdio: {}, tty: false },
    });
  }

  path = (name: string) => join(this.directory, name);

  /** A hook that notes its kind, and the state that it read. */
  note = (kind: string, more = '') => ({
    path: '/bin/sh',
    args: ['sh', '-c', `cat >"$AT/${kind}.json"; echo ${kind} >>"$AT/told"; ${more}`],
    env: [`AT=${this.directory}`, 'PATH=/usr/bin:/bin'],
  });

  told = (): string[] =>
    existsSync(this.path('told')) ? readFileSync(this.path('told'), 'utf8').trim().split('\n') : [];
  state = (kind: string) => JSON.parse(readFileSync(this.path(`${kind}.json`), 'utf8'));
  owed = () => readdir(this.path('run/bundles/hooks'));

  async [Symbol.asyncDispose]() {
    await this.runtime.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const kinds = ['prestart', 'createRuntime', 'poststart', 'poststop'];
const all = (world: World): Hooks => Object.fromEntries(kinds.map((kind) => [kind, [world.note(kind)]]));

for (const handler of ['namespace', 'vm'] as const)
  test(`${handler}: hooks of the host run in their order, each with the state as its caller knows it`, async () => {
    await using world = await World.create();
    await world.create('mine', all(world), { handler });
    assert.deepEqual(world.told(), ['prestart', 'createRuntime']);
    const common = { ociVersion: '1.0.2', id: 'mine', bundle: world.directory, annotations: { of: 'mine' } };
    const { pid, ...state } = world.state('createRuntime');
    assert.deepEqual(state, { ...common, status: 'creating' });
    // Machines that are made up have no process.
    assert.equal(pid, handler === 'vm' ? process.pid : 0);
    await world.runtime.start('key-mine');
    assert.equal(world.state('poststart').status, 'running');
    await world.runtime.start('key-mine');
    assert.deepEqual(world.told(), ['prestart', 'createRuntime', 'poststart']);
    await world.runtime.delete('key-mine', { force: true, withSandbox: true });
    assert.deepEqual(world.told(), kinds);
    assert.deepEqual(world.state('poststop'), { ...common, status: 'stopped' });
    assert.deepEqual([await world.owed(), [...world.namespaces], [...world.joined]], [[], [], []]);
  });

test('a virtual machine joins the network that hooks have made for it, and their namespace goes with it', async () => {
  await using world = await World.create();
  world.found = {};
  await world.create('wired', { createRuntime: [world.note('createRuntime')] }, { handler: 'vm' });
  assert.equal(world.runtime.sandbox('key-wired').address, '10.88.0.2');
  assert.equal(world.namespaces.size, 1);
  await world.restart();
  assert.equal(world.runtime.sandbox('key-wired').address, '10.88.0.2');
  await world.runtime.delete('key-wired', { force: true, withSandbox: true });
  await until('the end of the namespace', async () => world.namespaces.size === 0);
  assert.equal(world.joined.size, 0);
});

for (const handler of ['namespace', 'vm'] as const)
  test(`${handler}: a hook that fails before the start fails the create, is named, and what was begun is ended by poststop`, async () => {
    await using world = await World.create();
    const failing = { ...all(world), createRuntime: [world.note('createRuntime', 'echo no room >&2; exit 3')] };
    await assert.rejects(
      world.create('failing', failing, { handler }),
      /hooks\.createRuntime\.0: .*\/bin\/sh.*no room/,
    );
    await world.runtime.deleteSandbox('key-failing');
    assert.deepEqual(world.told(), ['prestart', 'createRuntime', 'poststop']);
    assert.deepEqual([world.runtime.list(), await world.owed(), [...world.namespaces]], [[], [], []]);
  });

test('hooks after the start and after the end may fail: the others run, and the container goes on', async () => {
  await using world = await World.create();
  const bad = { path: '/no/such/hook' };
  const hooks = {
    poststart: [bad, world.note('poststart')],
    poststop: [world.note('poststop', 'exit 1'), world.note('last')],
  };
  await world.create('lax', hooks);
  assert.equal((await world.runtime.start('key-lax')).state, 'running');
  await world.runtime.delete('key-lax', { force: true });
  assert.deepEqual(world.told(), ['poststart', 'poststop', 'last']);
});

test('a hook that takes too long is killed with all that it has started', async () => {
  await using world = await World.create();
  const slow = { ...world.note('createRuntime', 'sleep 1000 & echo $! >"$AT/pid"; wait'), timeout: 5 };
  await assert.rejects(
    world.create('slow', { createRuntime: [slow] }),
    /hooks\.createRuntime\.0: .*did not end within 5000 ms/,
  );
  const pid = Number(readFileSync(world.path('pid'), 'utf8'));
  await until('the end of its child', async () => startTimeOf(pid) === undefined);
});

test('a hook may leave a process running that holds its output open', async () => {
  await using world = await World.create();
  await world.create('daemon', { createRuntime: [world.note('createRuntime', 'sleep 1000 & echo $! >"$AT/pid"')] });
  const pid = Number(readFileSync(world.path('pid'), 'utf8'));
  assert.notEqual(startTimeOf(pid), undefined);
  process.kill(pid);
});

test('a hook has the arguments and the environment that it was given, and no other', async () => {
  await using world = await World.create();
  const script = `tr '\\0' '\\n' </proc/$$/environ >${world.path('env')}; echo "$0" >${world.path('name')}; pwd >${world.path('cwd')}`;
  await world.create('given', {
    prestart: [{ path: '/bin/sh', args: ['sh', '-c', script, 'called so'], env: ['A=1=2'] }],
  });
  assert.equal(readFileSync(world.path('env'), 'utf8'), 'A=1=2\n');
  assert.equal(readFileSync(world.path('name'), 'utf8'), 'called so\n');
  assert.equal(readFileSync(world.path('cwd'), 'utf8').trim(), world.directory);
});

/** The step is where the process dies: nothing after it is carried out. */
const dieAt = (world: World, step: string) => {
  const died = Promise.withResolvers<void>();
  world.onStep = (name) => {
    if (name !== step) return;
    died.resolve();
    return new Promise(() => {});
  };
  return died.promise;
};

for (const [step, handler, told] of [
  ['hooks-created', 'namespace', ['prestart', 'createRuntime', 'poststop']],
  ['bundle-machine', 'vm', ['prestart', 'createRuntime', 'poststop']],
  ['bundle-container', 'vm', ['prestart', 'createRuntime', 'poststop']],
] as const)
  test(`${handler}: killed at ${step}, a create that was never answered is ended by poststop, and made anew when it is asked for again`, async () => {
    await using world = await World.create();
    const died = dieAt(world, step);
    void world.create('cut', all(world), { handler }).catch(() => {});
    await died;
    world.onStep = () => {};
    await world.restart();
    await until('poststop', async () => world.told().includes('poststop'));
    assert.deepEqual(world.told(), told);
    await until('that nothing is owed', async () => (await world.owed()).length === 0);
    assert.equal(world.namespaces.size, 0);
    await world.runtime.deleteSandbox('key-cut');
    await world.create('cut', all(world), { handler });
    assert.deepEqual(world.told(), [...told, 'prestart', 'createRuntime']);
  });

test('killed while a hook runs: the hook is killed, and not run again', async () => {
  await using world = await World.create();
  const slow = world.note('createRuntime', 'echo $$ >"$AT/pid"; sleep 1000');
  void world.create('cut', { ...all(world), createRuntime: [slow] }).catch(() => {});
  await until('the hook', async () => existsSync(world.path('pid')) && readFileSync(world.path('pid'), 'utf8') !== '');
  const pid = Number(readFileSync(world.path('pid'), 'utf8'));
  await world.restart();
  await until('the end of the hook', async () => startTimeOf(pid) === undefined);
  // In this process it hears of that end; a dead one would not.
  await world.killedStands;
  await until('poststop', async () => world.told().includes('poststop'));
  assert.deepEqual(world.told(), ['prestart', 'createRuntime', 'poststop']);
});

test('killed between the start and its hooks: they run once, by the next process', async () => {
  await using world = await World.create();
  await world.create('begun', all(world));
  const died = dieAt(world, 'bundle-started');
  void world.runtime.start('key-begun').catch(() => {});
  await died;
  world.onStep = () => {};
  await world.restart();
  await until('poststart', async () => world.told().includes('poststart'));
  await world.runtime.start('key-begun');
  assert.deepEqual(world.told(), ['prestart', 'createRuntime', 'poststart']);
});

test('what is owed of containers that are gone keeps nobody from making one of them anew, with its hooks', async () => {
  await using world = await World.create();
  const hooksOf = (id: string): Hooks => ({
    createRuntime: [world.note(`made-${id}`)],
    poststop: [world.note(`gone-${id}`, `while [ ! -e "$AT/go-${id}" ]; do sleep 0.05; done`)],
  });
  const ids = ['one', 'two'];
  for (const id of ids) await world.create(id, hooksOf(id));
  const bothDied = Promise.withResolvers<void>();
  let dying = 0;
  world.onStep = (name) => {
    if (name !== 'hooks-poststop') return;
    if (++dying === ids.length) bothDied.resolve();
    return new Promise(() => {});
  };
  for (const id of ids) void world.runtime.delete(`key-${id}`, { force: true, withSandbox: true }).catch(() => {});
  await bothDied.promise;
  world.onStep = () => {};
  await world.restart();
  await until('a hook that takes its time', async () => world.told().some((kind) => kind.startsWith('gone-')));
  const other = world.told().includes('gone-one') ? 'two' : 'one';
  writeFileSync(world.path(`go-${other}`), '');
  await world.create(other, hooksOf(other));
  assert.equal(world.told().filter((kind) => kind === `made-${other}`).length, 2);
  for (const id of ids) writeFileSync(world.path(`go-${id}`), '');
  await until('that of the gone ones nothing is owed', async () => (await world.owed()).length === 1);
  assert.deepEqual(await world.owed(), [`key-${other}.json`]);
});

test('poststop hooks run after those of the start, also where nobody waited for these', async () => {
  await using world = await World.create();
  const wait = world.note('wait', 'while [ ! -e "$AT/go" ]; do sleep 0.05; done');
  await world.create('brief', { poststart: [wait, world.note('poststart')], poststop: [world.note('poststop')] });
  const died = dieAt(world, 'bundle-started');
  void world.runtime.start('key-brief').catch(() => {});
  await died;
  world.onStep = () => {};
  await world.restart();
  await until('its first hook', async () => world.told().includes('wait'));
  const deleting = world.runtime.delete('key-brief', { force: true, withSandbox: true });
  await until('that the container is gone', async () => world.runtime.list().length === 0);
  writeFileSync(world.path('go'), '');
  await deleting;
  assert.deepEqual(world.told(), ['wait', 'poststart', 'poststop']);
  assert.deepEqual(await world.owed(), []);
});

for (const step of ['bundle-deleted', 'bundle-forget-container', 'hooks-poststop', 'hooks-forget'])
  test(`killed at ${step} of its delete, a container still gets its poststop hooks`, async () => {
    await using world = await World.create();
    await world.create('going', all(world));
    const died = dieAt(world, step);
    void world.runtime.delete('key-going', { force: true, withSandbox: true }).catch(() => {});
    await died;
    world.onStep = () => {};
    await world.restart();
    if (world.runtime.list().length > 0) await world.runtime.delete('key-going', { force: true, withSandbox: true });
    await until('that nothing is owed', async () => (await world.owed()).length === 0);
    assert.ok(world.told().includes('poststop'), world.told().join());
  });

test('what a hook may say is bounded, and said by its field', () => {
  const of = (hook: object) => () =>
    parseOciConfig(JSON.stringify({ ociVersion: '1.0.2', process: {}, hooks: { poststop: hook } }));
  assert.throws(of([{ path: 'relative' }]), /hooks\.poststop\.0\.path: a hook has an absolute path/);
  assert.throws(of([{}]), /hooks\.poststop\.0\.path/);
  assert.throws(of([{ path: '/h', timeout: 0 }]), /hooks\.poststop\.0\.timeout: must be greater than zero/);
  assert.throws(of([{ path: '/h', timeout: 1e9 }]), /hooks\.poststop\.0\.timeout/);
  assert.throws(of([{ path: '/h', env: ['A'] }]), /hooks\.poststop\.0\.env\.0: is not NAME=VALUE/);
  assert.throws(of([{ path: '/h', args: ['a\0b'] }]), /hooks\.poststop\.0\.args\.0: has a zero byte/);
  assert.throws(of(Array(65).fill({ path: '/h' })), /hooks\.poststop/);
  assert.throws(of([{ path: '/h', args: Array(2000).fill('a') }]), /hooks\.poststop\.0\.args/);
});
