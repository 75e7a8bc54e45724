/** The fake driver of vmm.ts: machines that run nothing, in process, on a FakeHost that tests command. */
import { SampanError } from '@sampan/api/errors.ts';
import { SerialByKey } from '../../base/serial.ts';
import { channelName, checkDiskFiles, checkShareDirectories, checkShareMount, checkSpec } from '../check-spec.ts';
import { checkDisks } from '../slots.ts';
import type { DiskAttachment, Machine, MachineShape, MachineSpec, ShareMount, Vmm, VmmCapabilities } from '../vmm.ts';
import { FakeHost, type FakeMachineState } from './fake-host.ts';

export class FakeVmm implements Vmm {
  readonly host: FakeHost;
  readonly #serial = new SerialByKey();
  /** By directory: the same machine is the same object. */
  readonly #machines = new Map<string, FakeMachine>();

  constructor(host = new FakeHost()) {
    this.host = host;
  }

  async capabilities(): Promise<VmmCapabilities> {
    return {
      driver: 'fake',
      acceleration: 'none',
      accelerationReason: 'this driver runs no guest code',
      pause: true,
      attachDisk: true,
      shares: true,
    };
  }

  create(spec: MachineSpec): Promise<Machine> {
    return this.#serial.run(spec.directory, async () => {
      checkSpec(spec);
      const existing = this.#find(spec.directory);
      if (existing) return existing;
      checkDiskFiles(spec.id, spec.disks);
      checkShareDirectories(spec);
      this.host.throwIfTold('create');
      this.host.remove(spec.directory, 'its remains were cleared away');
      const cold = (spec.shares?.length ?? 0) > 1;
      const origin = !cold && this.host.templates.has(shapeKey(spec.shape)) ? 'template' : 'cold';
      this.host.templates.add(shapeKey(spec.shape));
      return this.#adopt(await this.host.add(spec, origin));
    });
  }

  find(directory: string): Promise<Machine | undefined> {
    return this.#serial.run(directory, async () => this.#find(directory));
  }

  destroy(directory: string): Promise<void> {
    return this.#serial.run(directory, async () => {
      this.host.remove(directory, 'the machine was destroyed');
      this.#machines.delete(directory);
    });
  }

  async prepareTemplate(shape: MachineShape): Promise<void> {
    this.host.throwIfTold('prepareTemplate');
    this.host.templates.add(shapeKey(shape));
  }

  async close(): Promise<void> {}

  async teardown(): Promise<void> {}

  #find(directory: string): Machine | undefined {
    const state = this.host.machines.get(directory);
    return state && state.state !== 'gone' ? this.#adopt(state) : undefined;
  }

  #adopt(state: FakeMachineState): Machine {
    const known = this.#machines.get(state.spec.directory);
    if (known?.state === state) return known;
    const machine = new FakeMachine(this.host, state);
    this.#machines.set(state.spec.directory, machine);
    return machine;
  }
}

const shapeKey = (shape: MachineShape): string => `${shape.vcpus}/${shape.memoryMib}`;

class FakeMachine implements Machine {
  readonly state: FakeMachineState;
  readonly #host: FakeHost;

  constructor(host: FakeHost, state: FakeMachineState) {
    this.#host = host;
    this.state = state;
  }

  get id() {
    return this.state.spec.id;
  }

  get directory() {
    return this.state.spec.directory;
  }

  get shape() {
    return this.state.spec.shape;
  }

  get origin() {
    return this.state.origin;
  }

  get channelPath() {
    return `${this.directory}/${channelName}`;
  }

  get exited() {
    return this.state.exited;
  }

  async attachDisk(disk: DiskAttachment): Promise<void> {
    checkDisks(this.id, [disk]);
    checkDiskFiles(this.id, [disk]);
    this.#assertHere('attachDisk');
    this.#host.throwIfTold('attachDisk');
    if (this.state.disks.some((other) => other.slot === disk.slot))
      throw new SampanError(
        'FailedPrecondition',
        `machine ${this.id}: slot ${disk.slot} has a disk already; wanted an empty one`,
      );
    this.state.disks.push(disk);
  }

  async mountInShare(mount: ShareMount): Promise<void> {
    checkShareMount(this.id, mount);
    this.#assertHere('mountInShare');
    this.#host.throwIfTold('mountInShare');
    if (!this.state.spec.shares?.some(({ tag }) => tag === mount.tag))
      throw new SampanError('NotFound', `machine ${this.id} has no share ${mount.tag}`);
    const same = ({ tag, name }: ShareMount) => tag === mount.tag && name === mount.name;
    if (!this.state.shareMounts.some(same)) this.state.shareMounts.push(mount);
  }

  async pause(): Promise<void> {
    this.#assertHere('pause');
    this.#host.throwIfTold('pause');
    this.state.state = 'paused';
  }

  async resume(): Promise<void> {
    this.#assertHere('resume');
    this.#host.throwIfTold('resume');
    this.state.state = 'running';
  }

  async settle(): Promise<void> {
    this.state.settled = true;
  }

  async stats() {
    this.#assertHere('stats');
    return { cpuNanos: 1_000_000n, pssBytes: 1 << 20 };
  }

  async consoleTail(): Promise<string> {
    return this.state.console;
  }

  #assertHere(what: string): void {
    if (this.state.state === 'gone')
      throw new SampanError('FailedPrecondition', `machine ${this.id} is gone; ${what} wants a running one`);
  }
}
