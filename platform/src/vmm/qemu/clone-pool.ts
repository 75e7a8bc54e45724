/**
 * Clones started ahead of need: QEMU runs, has read the template's state and is stopped; disks and network are swapped in when a
 * machine asks. What it saves is the process's start, which is most of a clone's cost.
 *
 *   start ──▶ state read ──▶ (rehearse) ──park──▶ parked ──take──▶ a machine's (adopt-clone.ts)
 *
 * Owns <run>/pool/ and every process named there. A parked clone cannot outlive its server: its launcher kills it.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { ensureDirectory } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import type { MachineShape, Rehearsal } from '../vmm.ts';
import { type ParkedClone, startClone } from './park-clone.ts';
import type { QemuContext } from './qemu-context.ts';
import { scrap } from './start-vmm.ts';
import type { Template, TemplateStore } from './templates.ts';

/** Refilling waits until nothing was asked for so long; it also runs at the lowest weight, so that machines that start come first. */
const quietMs = 150;
/** Shapes asked for within this time keep their clones. */
const recentMs = 10 * 60_000;
const idleMs = 200;
/** So many failures in a row are blamed on the rehearsal (a guest that does not know it, say). */
const maxFailures = 2;
/** Shapes that are kept ready at a time; the pool's memory is at most maxShapes * size clones (about 20 MiB each, 75 with a rehearsal). */
const maxShapes = 4;

export class ClonePool {
  readonly #context: QemuContext;
  readonly #templates: TemplateStore;
  readonly #size: number;
  readonly #parked = new Set<ParkedClone>();
  readonly #wanted = new Map<string, { shape: MachineShape; atMs: number }>();
  readonly #stop = new AbortController();
  #worker: Promise<void> | undefined;
  #rehearsal: Rehearsal | undefined;
  /** In a row. */
  #failures = 0;
  #waiting: (() => void)[] = [];

  constructor(context: QemuContext, templates: TemplateStore, size: number) {
    this.#context = context;
    this.#templates = templates;
    this.#size = size;
    this.#rehearsal = context.rehearsal;
  }

  get #root(): string {
    return join(this.#context.run, 'pool');
  }

  /** Scraps what a server before this one had parked. */
  async recover(): Promise<void> {
    await ensureDirectory(this.#root, 0o700);
    for (const name of await readdir(this.#root)) await scrap(this.#context, join(this.#root, name));
  }

  /** Hands over a clone of the template, to be adopted or scrapped by the caller. */
  take(template: Template): ParkedClone | undefined {
    for (const clone of this.#parked) {
      if (clone.templateKey !== template.key) continue;
      this.#parked.delete(clone);
      return clone;
    }
    return undefined;
  }

  /** A machine of this shape was asked for: its clones are wanted for a while. */
  note(shape: MachineShape): void {
    if (this.#size === 0 || this.#stop.signal.aborted) return;
    const key = shapeKey(shape);
    // Taken out first, so that the map's order is the order of use.
    this.#wanted.delete(key);
    this.#wanted.set(key, { shape, atMs: this.#context.clock.monotonicMs() });
    if (this.#wanted.size > maxShapes) this.#wanted.delete(this.#wanted.keys().next().value!);
    this.#worker ??= this.#work().finally(() => {
      this.#worker = undefined;
      this.#wake();
    });
  }

  /** Resolves when nothing is lacking any more, or when the pool gives up for now. */
  async filled(): Promise<void> {
    if (this.#worker) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#worker;
    await Promise.all([...this.#parked].map((clone) => this.#scrap(clone)));
  }

  /** Fills the pool, then looks after it now and then until no shape is wanted any more. */
  async #work(): Promise<void> {
    const { clock, log } = this.#context;
    const signal = this.#stop.signal;
    try {
      while (this.#wanted.size > 0 || this.#parked.size > 0) {
        await this.#drop();
        const next = await this.#lacking();
        if (!next) {
          this.#wake();
          await clock.sleep(idleMs, signal);
        } else if (clock.monotonicMs() - next.atMs < quietMs) await clock.sleep(quietMs / 4, signal);
        else await this.#park(next.shape, next.template);
      }
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'the clone pool rests until the next machine');
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The shape used last that has too few clones; `atMs` is the newest use of any shape. */
  async #lacking(): Promise<{ shape: MachineShape; template: Template; atMs: number } | undefined> {
    const newest = Math.max(...[...this.#wanted.values()].map(({ atMs }) => atMs));
    for (const { shape } of [...this.#wanted.values()].reverse()) {
      const template = await this.#templates.peek(shape);
      const count = [...this.#parked].filter((clone) => clone.templateKey === template?.key).length;
      if (template && count < this.#size) return { shape, template, atMs: newest };
    }
    return undefined;
  }

  /** Lets go of shapes that are not used any more, and of their clones. */
  async #drop(): Promise<void> {
    const now = this.#context.clock.monotonicMs();
    for (const [key, { atMs }] of this.#wanted) if (now - atMs > recentMs) this.#wanted.delete(key);
    for (const clone of [...this.#parked])
      if (!this.#wanted.has(shapeKey(clone.record.shape))) await this.#scrap(clone);
  }

  async #park(shape: MachineShape, template: Template): Promise<void> {
    const rehearsal = this.#rehearsal;
    const name = `pool-${randomHex(6)}`;
    try {
      const disks = (await rehearsal?.disks(name)) ?? [];
      const directory = join(this.#root, name);
      const signal = this.#stop.signal;
      const clone = await startClone(this.#context, { name, directory, shape, template, disks, rehearsal, signal });
      this.#failures = 0;
      this.#parked.add(clone);
      void clone.launcher.ended.then(() => this.#parked.delete(clone));
    } catch (error) {
      // Out of time is the host's fault, not the guest's.
      if (rehearsal && !isReason(error, 'Timeout') && ++this.#failures >= maxFailures && !this.#stop.signal.aborted) {
        this.#context.log.warn({ error: messageOf(error) }, 'clones are parked without a rehearsal from now on');
        this.#rehearsal = undefined;
      }
      throw error;
    } finally {
      await rehearsal?.release(name);
    }
  }

  async #scrap(clone: ParkedClone): Promise<void> {
    this.#parked.delete(clone);
    clone.qmp.close();
    await clone.launcher.kill();
    await scrap(this.#context, clone.directory);
  }
}

const shapeKey = (shape: MachineShape): string => `${shape.vcpus}/${shape.memoryMib}`;
