/**
 * tools/conformance/results.json: the last known outcome of each test. A run replaces the outcomes of the tests it was to run and
 * leaves the others alone, so that runs in parts, and in different places, add up. Pure but for reading and writing the file.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Outcome {
  name: string;
  passed: boolean;
  /** The first line of the failure. */
  message: string;
  seconds: number;
}

export interface Result {
  outcome: 'passed' | 'failed' | 'unfinished';
  /** Of a failure. */
  message?: string;
  seconds?: number;
}

/** By the test's name. */
export type Results = Record<string, Result>;

const path = join(import.meta.dirname, 'results.json');

export async function readResults(): Promise<Results> {
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Results) : {};
}

/** Sorted, a test a line: two runs' changes merge as text. */
export async function writeResults(results: Results): Promise<void> {
  const lines = Object.entries(results)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, result]) => `  ${JSON.stringify(name)}: ${JSON.stringify(result)}`);
  await writeFile(path, `{\n${lines.join(',\n')}\n}\n`);
}

/** `wanted` is what the run was to try; what of it did not come to an end is `unfinished`. */
export function merge(before: Results, wanted: string[], outcomes: Outcome[]): Results {
  const ran = new Map(outcomes.map((outcome) => [outcome.name, outcome]));
  const fresh = wanted.map((name): [string, Result] => {
    const outcome = ran.get(name);
    if (!outcome) return [name, { outcome: 'unfinished' }];
    const seconds = Math.round(outcome.seconds);
    return [
      name,
      outcome.passed ? { outcome: 'passed', seconds } : { outcome: 'failed', message: outcome.message, seconds },
    ];
  });
  return { ...before, ...Object.fromEntries(fresh) };
}

/** What passed before and does not now. */
export function broken(before: Results, after: Results): string[] {
  return Object.keys(after).filter((name) => before[name]?.outcome === 'passed' && after[name]?.outcome !== 'passed');
}
