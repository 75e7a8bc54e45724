/**
 * Collects garbage when the process has little to do. V8 collects as memory is asked for: a process that was busy and is no longer keeps what it
 * needed then, often as much again as it needs now, for as long as it rests. It owns when to collect; the caller says how often to look.
 */
import { getHeapStatistics } from 'node:v8';

/** What it looks at and does; the process's own unless a test says otherwise. */
export interface Collected {
  /** CPU time used so far. */
  cpuMs(): number;
  /** In use or not yet known to be garbage. */
  heapBytes(): number;
  /** Everything, and gives pages back. Holds the process for a tenth of a second. */
  collect(): void;
}

/** Of one core since the last look: below it the process counts as quiet. */
const quietShare = 0.05;
/** Less is not worth the pause. */
const worthBytes = 12 << 20;

export class QuietCollector {
  readonly #everyMs: number;
  readonly #process: Collected | undefined;
  #cpuMs = Number.NEGATIVE_INFINITY;
  #leftBytes = 0;

  /** Does nothing in a process that was not started with --expose-gc. */
  constructor(everyMs: number, process = thisProcess()) {
    this.#everyMs = everyMs;
    this.#process = process;
  }

  /** To be called every `everyMs`. */
  look(): void {
    if (!this.#process) return;
    const cpuMs = this.#process.cpuMs();
    const isQuiet = cpuMs - this.#cpuMs < this.#everyMs * quietShare;
    this.#cpuMs = cpuMs;
    if (!isQuiet || this.#process.heapBytes() - this.#leftBytes < worthBytes) return;
    this.#process.collect();
    this.#leftBytes = this.#process.heapBytes();
    this.#cpuMs = this.#process.cpuMs();
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
  };
}
