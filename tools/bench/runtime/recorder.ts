/** What a run of `bench runtime` has measured so far, what went wrong, and how long each part may take. */
import { type Series, summarise } from '../report.ts';

export class Recorder {
  readonly #values: Record<string, { unit: string; list: number[] }> = {};
  readonly #endMs: number;
  /** What was left out or failed: told at the end, once more. */
  readonly problems: string[] = [];

  constructor(minutes: number) {
    this.#endMs = performance.now() + minutes * 60_000;
  }

  note(name: string, unit: string, value: number): void {
    this.#values[name] ??= { unit, list: [] };
    this.#values[name].list.push(value);
  }

  series(): Record<string, Series> {
    return Object.fromEntries(
      Object.entries(this.#values).map(([name, { unit, list }]) => [name, summarise(unit, list)]),
    );
  }

  progress(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  problem(text: string): void {
    this.problems.push(text);
    this.progress(text);
  }

  /** At most `runs` times, and no longer than `share` of the time that is left; twice whatever the time says. */
  *rounds(what: string, runs: number, share: number): Generator<number> {
    const now = performance.now();
    const until = now + Math.max(0, this.#endMs - now) * share;
    for (let round = 1; round <= runs; round++) {
      if (round > 2 && performance.now() > until) {
        this.progress(`${what}: the time is up after ${round - 1} of ${runs} runs`);
        return;
      }
      this.progress(`${what}: run ${round} of ${runs}`);
      yield round;
    }
  }

  /** What fails is told, and none of the rest is lost for it. */
  async attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.problem(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      return false;
    }
  }
}
