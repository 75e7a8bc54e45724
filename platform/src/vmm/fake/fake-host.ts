/**
 * The world in which fake machines live: it outlives a FakeVmm as a host outlives a server. Tests command it.
 * No guest code runs; a machine is running, paused or gone because somebody here says so.
 */
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { channelName } from '../check-spec.ts';
import type { DiskAttachment, MachineExit, MachineSpec, ShareMount } from '../vmm.ts';

export type FakeOperation = 'create' | 'attachDisk' | 'mountInShare' | 'pause' | 'resume' | 'prepareTemplate';

export interface FakeMachineState {
  readonly spec: MachineSpec;
  readonly origin: 'template' | 'cold';
  readonly exited: Promise<MachineExit>;
  disks: DiskAttachment[];
  shareMounts: ShareMount[];
  state: 'running' | 'paused' | 'gone';
  console: string;
  settled: boolean;
}

interface Living extends FakeMachineState {
  end: (exit: MachineExit) => void;
  server: Server;
  sockets: Set<Socket>;
}

export class FakeHost {
  /** Called for each connection to a machine's channel: a test's agent answers here. */
  onChannel: (socket: Socket, machine: FakeMachineState) => void = () => {};
  readonly templates = new Set<string>();
  readonly #machines = new Map<string, Living>();
  readonly #failures = new Map<FakeOperation, Error[]>();

  /** By directory; the dead ones too, until destroyed. */
  get machines(): ReadonlyMap<string, FakeMachineState> {
    return this.#machines;
  }

  /** The next call of this operation throws `error`; several are thrown in turn. */
  failNext(operation: FakeOperation, error: Error): void {
    this.#failures.set(operation, [...(this.#failures.get(operation) ?? []), error]);
  }

  /** The guest powers off. */
  halt(directory: string, message = 'the guest powered off'): void {
    this.#end(directory, { kind: 'halted', message });
  }

  panic(directory: string, message = 'Kernel panic - not syncing: told to'): void {
    this.print(directory, `${message}\n`);
    this.#end(directory, { kind: 'panicked', message });
  }

  /** The VMM process dies. */
  die(directory: string, message = 'the VMM process ended without a word'): void {
    this.#end(directory, { kind: 'killed', message });
  }

  /** The guest writes to its console. */
  print(directory: string, text: string): void {
    const machine = this.#machines.get(directory);
    if (machine) machine.console = (machine.console + text).slice(-65_536);
  }

  throwIfTold(operation: FakeOperation): void {
    const error = this.#failures.get(operation)?.shift();
    if (error) throw error;
  }

  async add(spec: MachineSpec, origin: 'template' | 'cold'): Promise<FakeMachineState> {
    await mkdir(spec.directory, { recursive: true, mode: 0o700 });
    const sockets = new Set<Socket>();
    const { promise, resolve } = Promise.withResolvers<MachineExit>();
    const machine: Living = {
      spec,
      origin,
      exited: promise,
      end: resolve,
      disks: [...spec.disks],
      shareMounts: [],
      state: 'running',
      console: '',
      settled: false,
      sockets,
      server: createServer((socket) => this.#connected(machine, socket)),
    };
    await new Promise<void>((listening, failed) => {
      machine.server.once('error', failed).listen(join(spec.directory, channelName), listening);
    });
    machine.server.unref();
    this.#machines.set(spec.directory, machine);
    return machine;
  }

  /** Ends the machine and forgets it and its directory. */
  remove(directory: string, message: string): void {
    this.#end(directory, { kind: 'killed', message });
    this.#machines.delete(directory);
    rmSync(directory, { recursive: true, force: true });
  }

  /** One connection at a time, the newest wins. */
  #connected(machine: Living, socket: Socket): void {
    for (const older of machine.sockets) older.destroy();
    machine.sockets.add(socket);
    socket.on('error', () => {}).on('close', () => machine.sockets.delete(socket));
    this.onChannel(socket, machine);
  }

  #end(directory: string, exit: MachineExit): void {
    const machine = this.#machines.get(directory);
    if (!machine || machine.state === 'gone') return;
    machine.state = 'gone';
    machine.server.close();
    for (const socket of machine.sockets) socket.destroy();
    machine.end({ ...exit, message: exit.message.slice(0, 1024) });
  }
}
