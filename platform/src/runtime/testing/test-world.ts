/** The rest of the test world (fake-guest.ts has the guests): machines and images that outlive a runtime, and what a test asks of it. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { silentLogger } from '../../base/log.ts';
import type { Image, ImageStore } from '../../images/images.ts';
import { FakeNetwork, newFakeNetworkState } from '../../network/fake/fake-network.ts';
import type { DiskAttachment, Machine, MachineExit, MachineSpec, Vmm } from '../../vmm/vmm.ts';
import { createRuntime, type RuntimeOptions } from '../create-runtime.ts';
import type * as cri from '../generated/cri.ts';
import type { Runtime } from '../runtime.ts';
import { FakeGuests } from './fake-guest.ts';

class TestMachine implements Machine {
  readonly origin = 'template';
  readonly disks: Map<string, DiskAttachment>;
  readonly spec: MachineSpec;
  readonly #exit = Promise.withResolvers<MachineExit>();
  dead = false;

  constructor(spec: MachineSpec) {
    this.spec = spec;
    this.disks = new Map(spec.disks.map((disk) => [disk.slot, disk]));
  }

  get id() {
    return this.spec.id;
  }

  get directory() {
    return this.spec.directory;
  }

  get shape() {
    return this.spec.shape;
  }

  get channelPath() {
    return join(this.directory, 'agent.sock');
  }

  get exited() {
    return this.#exit.promise;
  }

  async attachDisk(disk: DiskAttachment): Promise<void> {
    if (this.disks.has(disk.slot)) throw new SampanError('FailedPrecondition', `slot ${disk.slot} is taken`);
    this.disks.set(disk.slot, disk);
  }

  async pause() {}
  async resume() {}

  async stats() {
    return { cpuNanos: 1n, pssBytes: 3000 };
  }

  async consoleTail() {
    return '';
  }

  die(exit: MachineExit): void {
    this.dead = true;
    this.#exit.resolve(exit);
  }
}

/** Machines on the "host". */
export class TestHost {
  readonly machines = new Map<string, TestMachine>();
  readonly network = newFakeNetworkState();
  readonly pins = new Map<string, Set<string>>();
  readonly guests = new FakeGuests();
  readonly images: Image[] = [image('busybox', 'a'), image('nginx', 'b')];

  vmm(): Vmm {
    const { machines, guests } = this;
    return {
      capabilities: async () => ({
        driver: 'test',
        acceleration: 'none',
        accelerationReason: 'a test',
        pause: true,
        attachDisk: true,
      }),
      async create(spec) {
        await mkdir(spec.directory, { recursive: true });
        const machine = machines.get(spec.directory) ?? new TestMachine(spec);
        machines.set(spec.directory, machine);
        return machine;
      },
      find: async (directory) => {
        const machine = machines.get(directory);
        return machine?.dead ? undefined : machine;
      },
      async destroy(directory) {
        const machine = machines.get(directory);
        machines.delete(directory);
        machine?.die({ kind: 'killed', message: 'destroyed' });
        if (machine) guests.byChannel.get(machine.channelPath)?.connection?.break('the machine is gone');
        await rm(directory, { recursive: true, force: true });
      },
      prepareTemplate: async () => {},
      close: async () => {},
      teardown: async () => {},
    };
  }

  imageStore(): ImageStore {
    const { images, pins } = this;
    const get = async (reference: string) =>
      images.find(({ id, repoTags }) => id === reference || repoTags.includes(reference));
    return {
      get,
      pull: async (reference) =>
        (await get(reference)) ?? Promise.reject(new SampanError('NotFound', `no ${reference}`)),
      list: async () => images,
      remove: async () => {},
      import: async () => [],
      pin: async (id, user) => void pins.set(user, (pins.get(user) ?? new Set()).add(id)),
      unpin: async (user) => void pins.delete(user),
      usage: async () => ({ usedBytes: 11, images: images.length, path: '/images' }),
    };
  }
}

function image(name: string, letter: string): Image {
  const id = `sha256:${letter.repeat(64)}`;
  const repoDigests = [`registry.test/${name}@sha256:${letter.repeat(64)}`];
  const config = { Cmd: ['sleep'], Env: [`IMAGE=${name}`], User: name === 'nginx' ? 'web:web' : '' };
  return {
    id,
    repoTags: [name],
    repoDigests,
    sizeBytes: 5,
    architecture: 'amd64',
    os: 'linux',
    config,
    blockImagePath: `/images/${name}`,
  };
}

/** One host with a runtime on it, which may be abandoned (as by kill -9) and followed by another. */
export class TestWorld implements AsyncDisposable {
  readonly host = new TestHost();
  readonly directory: string;
  runtime!: Runtime;
  onStep: NonNullable<RuntimeOptions['onStep']> = () => {};
  readonly #runtimes: Runtime[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<TestWorld> {
    const world = new TestWorld(await mkdtemp(join(tmpdir(), 'sampan-runtime-')));
    await world.restart();
    return world;
  }

  /** A new runtime over what the old one left. The old one is not told: it may go on failing in the background. */
  async restart(): Promise<void> {
    const network = new FakeNetwork({ state: this.host.network });
    await network.start();
    this.runtime = createRuntime({
      vmm: this.host.vmm(),
      images: this.host.imageStore(),
      network,
      connectAgent: this.host.guests.connect,
      run: join(this.directory, 'run'),
      home: join(this.directory, 'home'),
      log: silentLogger,
      onStep: (step) => this.onStep(step),
    });
    this.#runtimes.push(this.runtime);
    await this.runtime.recover();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.onStep = () => {};
    await Promise.all(this.#runtimes.map((runtime) => runtime.close()));
    await rm(this.directory, { recursive: true, force: true });
  }

  sandboxConfig(name = 'web', more: Partial<cri.PodSandboxConfig> = {}): cri.PodSandboxConfig {
    return {
      metadata: { name, namespace: 'default', uid: `uid-${name}`, attempt: 0 },
      hostname: name,
      logDirectory: join(this.directory, 'logs', name),
      labels: { app: name },
      ...more,
    };
  }

  async sandbox(name = 'web', more: Partial<cri.PodSandboxConfig> = {}): Promise<string> {
    return (await this.runtime.runPodSandbox({ config: this.sandboxConfig(name, more) })).podSandboxId!;
  }

  async container(podSandboxId: string, args: string[], more: Partial<cri.ContainerConfig> = {}): Promise<string> {
    const name = more.metadata?.name ?? 'main';
    const config = {
      metadata: { name, attempt: 0 },
      image: { image: 'busybox' },
      command: args,
      logPath: `${name}/0.log`,
      ...more,
    };
    return (await this.runtime.createContainer({ podSandboxId, config })).containerId!;
  }

  /** A container that has been started. */
  async started(podSandboxId: string, args: string[], more: Partial<cri.ContainerConfig> = {}): Promise<string> {
    const containerId = await this.container(podSandboxId, args, more);
    await this.runtime.startContainer({ containerId });
    return containerId;
  }

  async status(containerId: string): Promise<cri.ContainerStatus> {
    return (await this.runtime.containerStatus({ containerId })).status!;
  }

  /** The status once it is the wanted one. */
  async exited(containerId: string): Promise<cri.ContainerStatus> {
    return eventually(async () => {
      const status = await this.status(containerId);
      return status.state === 2 ? status : undefined;
    }, `container ${containerId} to exit`);
  }

  guest(): ReturnType<FakeGuests['byChannel']['get']> & object {
    return [...this.host.guests.byChannel.values()].at(-1)!;
  }

  machine(): TestMachine {
    return [...this.host.machines.values()].at(-1)!;
  }

  /** Names of everything that is left anywhere. */
  async traces(): Promise<string[]> {
    const names = async (...path: string[]) => readdir(join(this.directory, ...path)).catch(() => [] as string[]);
    const found = [await names('run', 'pods'), await names('run', 'vm'), await names('home', 'scratch')].flat();
    const { machines, network, pins } = this.host;
    return [
      ...found,
      ...[...machines.keys()].map((path) => basename(path)),
      ...network.attachments.keys(),
      ...pins.keys(),
    ];
  }
}

/** Asks until the answer is defined; at most two seconds. */
export async function eventually<T>(ask: () => Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 400; tries++) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`gave up waiting for ${what}`);
}
