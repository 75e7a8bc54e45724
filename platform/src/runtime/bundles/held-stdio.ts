/**
 * The FIFOs of one process's client, kept open by somebody who outlives us: a client that reads takes the moment in which nobody has its FIFO open for the
 * process's end, and would read no more of what the next of us carries.
 */
import type { BundleStdio } from './bundle-runtime.ts';

/** Who keeps FIFOs open. Never throws: without it a client only misses what comes after our death. Each call is idempotent. */
export interface StdioKeeper {
  hold(side: 'output' | 'input', paths: string[]): Promise<void>;
  release(paths: string[]): Promise<void>;
}

export const nobodyKeeps: StdioKeeper = { hold: async () => {}, release: async () => {} };

export class HeldStdio {
  readonly #keeper: StdioKeeper;
  /** Also of a process that was made by one of us before: what it named may be held. */
  readonly #paths: Set<string>;

  constructor(keeper: StdioKeeper, { stdin, stdout, stderr }: BundleStdio) {
    this.#keeper = keeper;
    this.#paths = new Set([stdin, stdout, stderr].flatMap((path) => (path && isNamed(path) ? [path] : [])));
  }

  async hold(side: 'output' | 'input', paths: (string | undefined)[]): Promise<void> {
    const wanted = paths.flatMap((path) => (path && this.#paths.has(path) ? [path] : []));
    if (wanted.length > 0) await this.#keeper.hold(side, wanted);
  }

  /** For good; absent: all. */
  async release(paths: (string | undefined)[] = [...this.#paths]): Promise<void> {
    const held = paths.flatMap((path) => (path && this.#paths.delete(path) ? [path] : []));
    if (held.length > 0) await this.#keeper.release(held);
  }

  /** Once everything was delivered; not because we go. */
  releaseAfter(delivered: Promise<void>, closing: AbortSignal, paths: (string | undefined)[]): void {
    void delivered.then(() => (closing.aborted ? undefined : this.release(paths)));
  }
}

/** Descriptors of another process are its own to keep; a tab or a line's end no keeper can be told. */
const isNamed = (path: string): boolean => !path.startsWith('/proc/') && !/[\t\n]/.test(path);
