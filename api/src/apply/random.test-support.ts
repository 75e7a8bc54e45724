/** Chance that can be had again: tests print the seed they ran with, and take one from the environment. */

/** Mulberry32: small, seeded, good enough to pick fields with. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seedOf(variable: string): number {
  return Number(process.env[variable] ?? Math.floor(Math.random() * 1e6));
}
