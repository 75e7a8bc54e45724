/**
 * Collects garbage when the process has little to do. V8 collects as memory is asked for: a process that was busy and is no longer keeps what it
 * needed then, often as much again as it needs now, for as long as it rests; and malloc keeps what connections had. It owns when to collect and when to
 * trim; the caller says how often to look, and what of his can be made again and is let go of before.
 */
import { getHeapStatistics } from 'node:v8';
import { trimMalloc } from './malloc-trim.ts';

/** What it looks at and does; the process's own unless a test says otherwise. */
export interface Collected {
  /** CPU time used so far. */
  cpuMs(): number;
  /** In use or not yet known to be garbage. */
  heapBytes(): number;
  /** Everything, and gives pages back. Holds the process for a tenth of a second. */
  collect(): void;
  /** Gives back what malloc holds and nobody uses. */
  trim(): void;
}

export interface QuietCollectorOptions {
  /** Called before each collection. */
  forget?(): void;
  process?: Collected | undefined;
}

/** Of one core since the last look: below it the process counts as quiet. */
const quietShare = 0.05;
/** Less is not worth the pause. */
const worthBytes = 12 << 20;
/** CPU time after which malloc may hold something again. */
const worthCpuMs = 1_000;
/** Collections may take no more of all time, or what is read now and then would be forgotten in between... */
const pausedShare = 0.02;
/** ...but so much of it in advance: one of a large heap takes a second, and garbage would wait a minute for the next. */
const advanceMs = 2_000;
/** Looks between two collections that take long. */
const longRest = 4;

export class QuietCollector {
  readonly #everyMs: number;
  readonly #forget: () => void;
  readonly #process: Collected | undefined;
  #cpuMs = Number.NEGATIVE_INFINITY;
  /** The least there was since the last collection, part of which ends after it. */
  #leftBytes = 0;
  /** Looks until it may collect again, if it owes little enough. */
  #resting = 0;
  /** CPU time of collections beyond their share of the time so far. */
  #owedMs = 0;
  #trimmedAtCpuMs = Number.NEGATIVE_INFINITY;

  /** Does nothing in a process that was not started with --expose-gc. */
  constructor(everyMs: number, { forget = () => {}, process = thisProcess() }: QuietCollectorOptions = {}) {
    this.#everyMs = everyMs;
    this.#forget = forget;
    this.#process = process;
  }

  /** To be called every `everyMs`. */
  look(): void {
    if (!this.#process) return;
    const cpuMs = this.#process.cpuMs();
    const isQuiet = cpuMs - this.#cpuMs < this.#everyMs * quietShare;
    this.#cpuMs = cpuMs;
    this.#resting = Math.max(0, this.#resting - 1);
    this.#owedMs = Math.max(0, this.#owedMs - this.#shareMs);
    if (!isQuiet) return;
    const heapBytes = this.#process.heapBytes();
    this.#leftBytes = Math.min(this.#leftBytes, heapBytes);
    const mayCollect = this.#resting === 0 && this.#owedMs <= advanceMs;
    const isWorthIt = mayCollect && heapBytes - this.#leftBytes >= worthBytes;
    // What a collection frees is freed by other threads, in their time: it is trimmed at a later look.
    if (isWorthIt) this.#collect(this.#process);
    else if (cpuMs - this.#trimmedAtCpuMs >= worthCpuMs) this.#trim(this.#process);
  }

  /** What each look adds to the time that collections may take. */
  get #shareMs(): number {
    return this.#everyMs * pausedShare;
  }

  #collect(process: Collected): void {
    this.#forget();
    process.collect();
    this.#leftBytes = process.heapBytes();
    const cpuMs = process.cpuMs();
    const tookMs = cpuMs - this.#cpuMs;
    this.#resting = Math.min(longRest, Math.ceil(tookMs / this.#shareMs));
    this.#owedMs += tookMs;
    this.#cpuMs = cpuMs;
    this.#trimmedAtCpuMs = Number.NEGATIVE_INFINITY;
  }

  #trim(process: Collected): void {
    process.trim();
    this.#cpuMs = process.cpuMs();
    this.#trimmedAtCpuMs = this.#cpuMs;
  }
}

function thisProcess(): Collected | undefined {
  const { gc } = globalThis;
  if (!gc) return undefined;
  return {
    cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    heapBytes() {
      const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
      return heap + external;
    },
    // Without this flavour V8 keeps the pages it has emptied.
    collect: () => void gc({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
    trim: trimMalloc,
  };
}
