/** CPU in nanocores between two questions: CRI wants a rate, guests count. */
interface Sample {
  atNanos: bigint;
  cpuNanos: bigint;
  rate: bigint | undefined;
}

/** Two samples nearer than this make no rate; the one before stands. */
const leastNanos = 500_000_000n;
const kept = 10_000;

export class CpuRates {
  readonly #samples = new Map<string, Sample>();

  /** Undefined at the first question. */
  sample(id: string, atNanos: bigint, cpuNanos: bigint): bigint | undefined {
    const last = this.#samples.get(id);
    if (last && atNanos - last.atNanos < leastNanos) return last.rate;
    const used = last ? cpuNanos - last.cpuNanos : 0n;
    const rate = last && used >= 0n ? (used * 1_000_000_000n) / (atNanos - last.atNanos) : undefined;
    this.#samples.delete(id);
    this.#samples.set(id, { atNanos, cpuNanos, rate });
    // The longest unasked goes: it is of a container that is gone.
    if (this.#samples.size > kept) this.#samples.delete(this.#samples.keys().next().value!);
    return rate;
  }
}
