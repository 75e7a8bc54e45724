/** Chance that can be had again: tests print the seed they ran with, and take one from the environment. */

import { type FieldType, type Scalar, structType } from '../schema/schema.ts';

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

const scalars: Record<Scalar, unknown[]> = {
  string: ['a', 'b', 'c'],
  bool: [true, false],
  int32: [0, 1, 80],
  int64: [0, 1, 4294967296],
  float64: [0, 0.5],
  bytes: ['YQ=='],
  time: ['2024-01-01T00:00:00Z'],
  microtime: ['2024-01-01T00:00:00.000001Z'],
  quantity: ['1', '500m', '1Gi'],
  intorstr: [80, 'http'],
  any: [{}, 'x', [1], { a: { b: 1 } }],
};

const maxDepth = 9;

/** A value that fits the type, with about half of its members. */
export function randomValue(type: FieldType, random: () => number, depth = 0): unknown {
  const size = () => Math.floor(random() * 3);
  switch (type.form) {
    case 'scalar':
      return scalars[type.scalar][Math.floor(random() * scalars[type.scalar].length)];
    case 'array':
      return Array.from({ length: size() }, () => randomValue(type.of, random, depth + 1));
    case 'map':
      return Object.fromEntries(
        ['x', 'y', 'a.b/c'].slice(size()).map((key) => [key, randomValue(type.of, random, depth + 1)]),
      );
    case 'struct': {
      if (depth > maxDepth) return {};
      const members = [...structType(type.name).fields].filter(() => random() < (depth < 2 ? 0.7 : 0.3));
      return Object.fromEntries(members.map(([name, of]) => [name, randomValue(of, random, depth + 1)]));
    }
  }
}
