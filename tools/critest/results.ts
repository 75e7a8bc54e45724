/** tools/critest/results.json: the last known outcome of each spec under each handler. A run of some leaves the others' alone. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Result {
  outcome: 'passed' | 'failed' | 'skipped';
  /** Of a failure, or why critest skipped it. */
  message?: string;
  seconds?: number;
}

export type Handler = 'vm' | 'namespace';
/** By the spec's name. */
export type Results = Record<string, Result>;
export type ResultsByHandler = Partial<Record<Handler, Results>>;

const path = join(import.meta.dirname, 'results.json');

export const readResults = (): Promise<ResultsByHandler> => readResultsOf<Handler>(path);
export const writeResults = (results: ResultsByHandler): Promise<void> => writeResultsTo(path, results);

/** Of a file of that kind, by whatever the specs ran under. */
export async function readResultsOf<Key extends string>(file: string): Promise<Partial<Record<Key, Results>>> {
  return existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as Partial<Record<Key, Results>>) : {};
}

/** Sorted, a spec a line: two runs' changes merge as text. */
export async function writeResultsTo(file: string, results: Partial<Record<string, Results>>): Promise<void> {
  const parts = Object.entries(results).map(([handler, specs = {}]) => {
    const lines = sorted(specs).map(([name, result]) => `    ${JSON.stringify(name)}: ${JSON.stringify(result)}`);
    return `  ${JSON.stringify(handler)}: {\n${lines.join(',\n')}\n  }`;
  });
  await writeFile(file, `{\n${parts.join(',\n')}\n}\n`);
}

export const sorted = (specs: Results): [string, Result][] =>
  Object.entries(specs).sort(([a], [b]) => (a < b ? -1 : 1));

/** What passed before, was tried again, and did not pass. */
export function broken(before: Results, after: Results): string[] {
  return Object.keys(after).filter((name) => before[name]?.outcome === 'passed' && after[name]?.outcome !== 'passed');
}
