/**
 * Clones started ahead of need: QEMU runs, has read the template's state and is stopped; disks and network are swapped in when a
 * machine asks. What it saves is the process's start, which is most of a clone's cost.
 *
 *   start ──▶ state read ──▶ (rehearse) ──park──▶ parked ──take──▶ a machine's (adopt-clone.ts)
 *
 * It keeps `least` clones of each shape in use, and as long as memory lies idle a reserve for crowds that nobody expects and up to `most` after a crowd that
 * they did not suffice for (clone-demand.ts).
 *
 * Owns <run>/pool/ and every process named there. A parked clone cannot outlive its server: its launcher kills it.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { ensureDirectory } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import type { MachineShape, Rehearsal } from '../vmm.ts';
import { affordableClones, CloneDemand, recentMs } from './clone-demand.ts';
import { type ParkedClone, startClone } from './park-clone.ts';
import type { QemuContext } from './qemu-context.ts';
import { scrap } from './start-vmm.ts';
import type { Template, TemplateStore } from './templates.ts';

/** Refilling waits until nothing was asked for so long; it also runs at the lowest weight, so that machines that start come first. */
const quietMs = 150;
/** What is kept for crowds can wait longer. */
const calmAfterMs = 3_000;
const idleMs = 200;
/** So many failures in a row are blamed on the rehearsal (a guest that does not know it, say). */
const maxFailures = 2;
/** Shapes that are kept ready at a time. */
const maxShapes = 4;

export interface PoolSize {
  /** Clones kept of each shape in use; 0: no pool. */
  least: number;
  /** Kept for a crowd that nobody expects, of all shapes in use together. */
  reserve: number;
  /** Of each shape, after a crowd. */
  most: number;
}

interface Lacking {
  shape: MachineShape;
  template: Template;
  /** More than the least. */
  isSpare: boolean;
  /** When it may be parked. */
  inMs: number;
}

interface WantedShape {
  shape: MachineShape;
  demand: CloneDemand;
}

export class ClonePool {
  readonly #context: QemuContext;
  readonly #templates: TemplateStore;
  readonly #size: PoolSize;
  readonly #parked = new Set<ParkedClone>();
  readonly #wanted = new Map<string, WantedShape>();
  readonly #stop = new AbortController();
  #worker: Promise<void> | undefined;
  #rehearsal: Rehearsal | undefined;
  /** In a row. */
  #failures = 0;
  #waiting: (() => void)[] = [];

  constructor(context: QemuContext, templates: TemplateStore, size: PoolSize) {
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
    if (this.#size.least === 0 || this.#stop.signal.aborted) return;
    const key = shapeKey(shape);
    const now = this.#context.clock.monotonicMs();
    const demand = this.#wanted.get(key)?.demand ?? new CloneDemand(now);
    demand.note(now);
    // Taken out first, so that the map's order is the order of use.
    this.#wanted.delete(key);
    this.#wanted.set(key, { shape, demand });
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
    await this.empty();
  }

  /** Lets go of every parked clone. */
  async empty(): Promise<void> {
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
        if (!next || next.isSpare) this.#wake();
        if (!next || next.inMs > 0) await clock.sleep(Math.min(idleMs, (next?.inMs ?? idleMs) + 1), signal);
        else await this.#park(next.shape, next.template);
      }
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'the clone pool rests until the next machine');
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What to park next: the least of every shape first, the shape used last before others; of what is kept for crowds, one when all is calm. */
  async #lacking(): Promise<Lacking | undefined> {
    const wanted = [...this.#wanted.values()].reverse();
    const calmMs = this.#context.clock.monotonicMs() - Math.max(...wanted.map(({ demand }) => demand.atMs));
    const count = ({ shape }: WantedShape) => this.#clonesOf(shape).length;
    const short = wanted.filter((one) => count(one) < this.#target(one));
    const least = short.filter((one) => count(one) < this.#size.least);
    const spare = short.length > 0 && this.#room() > 0 ? short : [];
    for (const one of [...least, ...spare]) {
      const template = await this.#templates.peek(one.shape);
      const isSpare = !least.includes(one);
      if (template) return { shape: one.shape, template, isSpare, inMs: (isSpare ? calmAfterMs : quietMs) - calmMs };
    }
    return undefined;
  }

  #clonesOf(shape: MachineShape): ParkedClone[] {
    return [...this.#parked].filter((clone) => shapeKey(clone.record.shape) === shapeKey(shape));
  }

  #target({ demand }: WantedShape): number {
    const { least, reserve, most } = this.#size;
    const expected = demand.wanted(this.#context.clock.monotonicMs());
    return Math.max(least, Math.min(most, Math.max(expected, Math.floor(reserve / this.#wanted.size))));
  }

  /** Clones that there is memory for beside those that are parked; below 0: so many too many. */
  #room(): number {
    return affordableClones(process.availableMemory(), this.#parked.size) - this.#parked.size;
  }

  /** Lets go of shapes that are not used any more, and of clones that are too many or that others need the memory of. */
  async #drop(): Promise<void> {
    const now = this.#context.clock.monotonicMs();
    for (const [key, { demand }] of this.#wanted) if (now - demand.atMs > recentMs) this.#wanted.delete(key);
    for (const clone of [...this.#parked])
      if (!this.#wanted.has(shapeKey(clone.record.shape))) await this.#scrap(clone);
    for (const one of this.#wanted.values()) {
      const spare = this.#clonesOf(one.shape).slice(this.#size.least);
      if (spare.length === 0) continue;
      // One too many is no reason: memory that is free goes up and down.
      const kept = Math.min(this.#target(one) - this.#size.least, spare.length + Math.min(0, this.#room() + 1));
      for (const clone of spare.slice(Math.max(0, kept))) await this.#scrap(clone);
    }
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
