/**
 * Machines on the host started ahead of need: the agent waits in namespaces of its own, with nothing that tells one machine from another. What a
 * machine that is asked for then still lacks are its limits, its disks and shares, and its name. Starting one takes longer than all else that a
 * container's start does here.
 *
 * Owns <run>/parked and what is named there. What a server before this one parked is scrapped (recover).
 */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { ensureDirectory } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import type { MachineSpec } from '../vmm.ts';
import { isAlive, type ProcessId } from '../vmm-process.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';
import type { NamespaceContext } from './namespace-machine.ts';

/**
 * Another is started when no machine was made or taken away for so long: those come first, and what their engine does around them. Under Podman a short
 * container's start, its end and its clearing away are up to a quarter of a second apart.
 */
const quietMs = 400;
/** One that nobody has asked for within this time is let go. */
const recentMs = 10 * 60_000;
const lookAgainMs = 1_000;

export interface ParkedMachine {
  directory: string;
  record: MachineRecord;
  process: ProcessId;
}

export interface ParkedMachinesOptions {
  context: Pick<NamespaceContext, 'clock' | 'log'>;
  /** The instance's directory on tmpfs. */
  run: string;
  /** Kept ready; 0: none. */
  size: number;
  start: (spec: MachineSpec) => Promise<ParkedMachine>;
  scrap: (directory: string) => Promise<void>;
}

/**
 * A machine with namespaces of the host's, or of somebody else, cannot be started before they are known; nor one beneath somebody's control group, since the
 * one it is born in is the root of all that it sees, unless it is to see more.
 */
export function canBeParked({ namespaces = {}, cgroupParent, containerCgroup }: MachineSpec): boolean {
  if (cgroupParent !== undefined || containerCgroup !== undefined) return false;
  return [namespaces.network, namespaces.pid, namespaces.ipc].every((one = 'own') => one === 'own');
}

export class ParkedMachines {
  readonly #options: ParkedMachinesOptions;
  readonly #parked: ParkedMachine[] = [];
  readonly #stop = new AbortController();
  #askedMs = 0;
  #busyMs = 0;
  #worker: Promise<void> | undefined;

  constructor(options: ParkedMachinesOptions) {
    this.#options = options;
  }

  get #root(): string {
    return join(this.#options.run, 'parked');
  }

  async recover(): Promise<void> {
    await ensureDirectory(this.#root, 0o700);
    for (const name of await readdir(this.#root)) await this.#options.scrap(join(this.#root, name));
  }

  /** One to be adopted or scrapped by the caller. */
  async take(): Promise<ParkedMachine | undefined> {
    this.busy();
    for (let machine = this.#parked.shift(); machine; machine = this.#parked.shift()) {
      if (await isAlive(machine.process)) return machine;
      await this.#options.scrap(machine.directory);
    }
    return undefined;
  }

  /** A machine is being made or taken away: that comes first. */
  busy(): void {
    this.#busyMs = this.#options.context.clock.monotonicMs();
  }

  /** Somebody has asked for a machine: others may follow. */
  note(): void {
    this.busy();
    this.#askedMs = this.#busyMs;
    if (this.#options.size === 0 || this.#stop.signal.aborted) return;
    this.#worker ??= this.#work().finally(() => {
      this.#worker = undefined;
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#worker;
    await Promise.all(this.#parked.splice(0).map(({ directory }) => this.#options.scrap(directory)));
  }

  /** Gives it the directory, the record and the name of the machine that was asked for. */
  async adopt(machine: ParkedMachine, directory: string, record: MachineRecord): Promise<void> {
    await writeMachineRecord(machine.directory, record);
    await mkdir(dirname(directory), { recursive: true });
    await rename(machine.directory, directory);
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#options.context;
    const { signal } = this.#stop;
    try {
      for (;;) {
        const nowMs = clock.monotonicMs();
        if (nowMs - this.#askedMs > recentMs) break;
        const isFull = this.#parked.length >= this.#options.size;
        const busyMs = quietMs - (nowMs - this.#busyMs);
        if (isFull) await clock.sleep(lookAgainMs, signal);
        else if (busyMs > 0) await clock.sleep(busyMs, signal);
        else await this.#park();
      }
      for (const { directory } of this.#parked.splice(0)) await this.#options.scrap(directory);
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'no machine is parked until the next is asked for');
    }
  }

  async #park(): Promise<void> {
    const id = `parked-${randomHex(6)}`;
    const shape = { vcpus: 1, memoryMib: 64 };
    this.#parked.push(await this.#options.start({ id, directory: join(this.#root, id), shape, disks: [] }));
  }
}
