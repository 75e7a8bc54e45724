/**
 * Warm templates: per machine shape one guest, booted to "agent ready" and frozen as a sealed memory (held by a launcher process) and a
 * file of device state.
 *
 *   (none) ──ensure──▶ booting ──ready line, freeze──▶ made ──least recently used, over the bound──▶ (none)
 *
 * Owns <run>/templates/<key>/ and the processes named there. A directory without template.json is half made, and scrapped.
 */
import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { ensureDirectory, writeFileAtomic } from '../../base/files.ts';
import type { MachineShape } from '../vmm.ts';
import { isAlive, readProcessFile } from '../vmm-process.ts';
import { freezeTemplate, statePathOf } from './freeze-template.ts';
import type { QemuContext } from './qemu-context.ts';
import { scrap } from './start-vmm.ts';
import { templateKey } from './template-key.ts';

const recordSchema = z.object({
  format: z.literal(1),
  key: z.string(),
  shape: z.object({ vcpus: z.number().int().positive(), memoryMib: z.number().int().positive() }),
  /** /proc/PID/fd/N of the holder. */
  memoryPath: z.string().regex(/^\/proc\/\d+\/fd\/\d+$/),
  bytes: z.number().nonnegative(),
});

export interface Template {
  key: string;
  directory: string;
  memoryPath: string;
  statePath: string;
  /** Host memory it takes. */
  bytes: number;
  lastUsedMs: number;
}

/** Boots at a time: more would only slow each other down. */
const maxBoots = 1;
/** After a failed boot the shape goes cold for so long. */
const retryAfterMs = 60_000;

export class TemplateStore {
  readonly #context: QemuContext;
  readonly #maxBytes: number;
  readonly #made = new Map<string, Template>();
  readonly #making = new Map<string, Promise<Template>>();
  readonly #failedAt = new Map<string, number>();
  readonly #keys = new Map<string, Promise<string>>();
  readonly #stop = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(context: QemuContext, maxBytes: number) {
    this.#context = context;
    this.#maxBytes = maxBytes;
  }

  get #root(): string {
    return join(this.#context.run, 'templates');
  }

  /** Takes over what a server before this one made; scraps what is half made, made of another guest or QEMU, or held by nobody. */
  async recover(): Promise<void> {
    await ensureDirectory(this.#root, 0o700);
    for (const key of await readdir(this.#root)) {
      const template = await this.#load(key).catch(() => undefined);
      if (template) this.#made.set(key, template);
      else await scrap(this.#context, join(this.#root, key));
    }
  }

  /** The shape's template if it is made, without counting as a use of it. */
  async peek(shape: MachineShape): Promise<Template | undefined> {
    return this.#made.get(await this.#key(shape));
  }

  /** The shape's template if it is made. */
  async get(shape: MachineShape): Promise<Template | undefined> {
    const template = await this.peek(shape);
    if (template) {
      template.lastUsedMs = this.#context.clock.now();
      const seconds = template.lastUsedMs / 1000;
      void utimes(join(template.directory, 'template.json'), seconds, seconds).catch(() => {});
    }
    return template;
  }

  /** True when ensure() would wait for nothing but this shape's own boot, which a cold start could not beat. */
  async worthWaiting(shape: MachineShape): Promise<boolean> {
    const key = await this.#key(shape);
    if (this.#making.has(key)) return this.#making.size <= maxBoots;
    const failedAt = this.#failedAt.get(key);
    if (failedAt !== undefined && this.#context.clock.monotonicMs() - failedAt < retryAfterMs) return false;
    return this.#making.size < maxBoots;
  }

  /** Makes the template, or joins in the making. */
  async ensure(shape: MachineShape): Promise<Template> {
    const key = await this.#key(shape);
    const made = await this.get(shape);
    if (made) return made;
    const making = this.#making.get(key);
    if (making) return making;
    const work = this.#turn.then(() => this.#make(key, shape));
    this.#turn = work.catch(() => {});
    this.#making.set(key, work);
    try {
      return await work;
    } finally {
      this.#making.delete(key);
    }
  }

  /** Looks after a template from which a clone could not be made: one whose memory is gone is forgotten. */
  async verify(template: Template): Promise<void> {
    if (!(await this.#load(template.key).catch(() => undefined))) await this.#discard(template);
  }

  /** Ends the making; made templates stay for the next server. */
  async close(): Promise<void> {
    this.#stop.abort(new SampanError('ServiceUnavailable', 'the VMM driver is closing'));
    await this.#turn;
  }

  /** Lets go of every template. */
  async removeAll(): Promise<void> {
    for (const template of [...this.#made.values()]) await this.#discard(template);
  }

  async #make(key: string, shape: MachineShape): Promise<Template> {
    const { clock, log } = this.#context;
    const directory = join(this.#root, key);
    const begin = clock.monotonicMs();
    try {
      this.#stop.signal.throwIfAborted();
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const memoryPath = await freezeTemplate(this.#context, { directory, shape, signal: this.#stop.signal });
      const bytes = await bytesOf(memoryPath, directory);
      await writeFileAtomic(
        join(directory, 'template.json'),
        JSON.stringify({ format: 1, key, shape, memoryPath, bytes }),
        {
          durable: false,
        },
      );
      const template = await this.#load(key);
      this.#made.set(key, template);
      this.#failedAt.delete(key);
      log.info(
        { shape, key, mib: Math.round(bytes / 2 ** 20), ms: Math.round(clock.monotonicMs() - begin) },
        'template is ready',
      );
      await this.#evict(template);
      return template;
    } catch (error) {
      this.#failedAt.set(key, clock.monotonicMs());
      await scrap(this.#context, directory);
      if (!this.#stop.signal.aborted)
        log.warn({ shape, error: messageOf(error) }, 'no template: machines of this shape boot cold');
      throw error;
    }
  }

  /** Throws when the directory does not hold a whole template that is still of use. */
  async #load(key: string): Promise<Template> {
    const directory = join(this.#root, key);
    const path = join(directory, 'template.json');
    const record = recordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    if (record.key !== key || key !== (await this.#key(record.shape)))
      throw new SampanError('NotFound', `template ${key}: made of another guest or QEMU`);
    const holder = await readProcessFile(directory, 'holder');
    if (!holder || !(await isAlive(holder)) || !record.memoryPath.startsWith(`/proc/${holder.pid}/`))
      throw new SampanError('NotFound', `template ${key}: nobody holds its memory`);
    const { mtimeMs } = await stat(path);
    return {
      key,
      directory,
      memoryPath: record.memoryPath,
      statePath: statePathOf(directory),
      bytes: record.bytes,
      lastUsedMs: mtimeMs,
    };
  }

  async #evict(newest: Template): Promise<void> {
    const others = [...this.#made.values()]
      .filter((other) => other !== newest)
      .sort((a, b) => b.lastUsedMs - a.lastUsedMs);
    let total = newest.bytes;
    for (const other of others) {
      total += other.bytes;
      if (total <= this.#maxBytes) continue;
      this.#context.log.info({ key: other.key }, 'template let go: templates took too much memory');
      await this.#discard(other);
    }
  }

  async #discard(template: Template): Promise<void> {
    if (this.#made.get(template.key) === template) this.#made.delete(template.key);
    await scrap(this.#context, template.directory);
  }

  #key(shape: MachineShape): Promise<string> {
    const name = `${this.#context.profile.accelerator}/${shape.vcpus}/${shape.memoryMib}`;
    const known = this.#keys.get(name) ?? templateKey(this.#context, shape);
    this.#keys.set(name, known);
    return known;
  }
}

async function bytesOf(memoryPath: string, directory: string): Promise<number> {
  const [memory, state] = await Promise.all([stat(memoryPath), stat(statePathOf(directory))]);
  return memory.blocks * 512 + state.size;
}
