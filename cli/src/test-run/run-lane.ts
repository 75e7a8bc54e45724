/** One run of Node's test runner over some files: its output is passed on, its counts and the files that failed are kept. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** A failure's words may come between a run's counts and its end. */
const tailBytes = 1 << 20;

export interface LaneEnd {
  code: number;
  counts: Map<string, number>;
  /** Relative to the root. Empty for a run that failed as a whole. */
  failed: string[];
}

export interface Lane {
  root: string;
  env: NodeJS.ProcessEnv;
  files: string[];
  /** How many files are under way at a time. */
  atOnce: number;
  /** Takes its output. Default: standard output. */
  print?: (chunk: string) => void;
}

export async function runLane({ root, env, files, atOnce, print = printOut }: Lane): Promise<LaneEnd> {
  if (files.length === 0) return { code: 0, counts: new Map(), failed: [] };
  const directory = mkdtempSync(join(tmpdir(), 'sampan-tests-'));
  const list = join(directory, 'failed');
  try {
    const reporters = [`--test-reporter=${join(root, 'cli/src/test-run/failed-files.ts')}`, '--test-reporter=spec'];
    const destinations = [`--test-reporter-destination=${list}`, '--test-reporter-destination=stdout'];
    const args = ['--test', ...reporters, ...destinations, ...testFlags(atOnce), ...files];
    const { code, tail } = await runNode({ root, env, print }, args);
    // The last of each name: tests that run tests have printed counts of their own.
    const counts = new Map([...tail.matchAll(/^\S (\w+) (\d+)$/gm)].map(([, name = '', n]) => [name, Number(n)]));
    return { code, counts, failed: namesIn(list).map((file) => relative(root, file)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const printOut = (chunk: string): void => void process.stdout.write(chunk);

async function runNode(
  { root, env, print }: Required<Pick<Lane, 'root' | 'env' | 'print'>>,
  args: string[],
): Promise<{ code: number; tail: string }> {
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['inherit', 'pipe', 'inherit'] });
  let tail = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    print(chunk);
    tail = (tail + chunk).slice(-tailBytes);
  });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 128)));
  return { code, tail };
}

function namesIn(list: string): string[] {
  try {
    return readFileSync(list, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

export const testFlags = (atOnce: number): string[] => [
  '--disable-warning=ExperimentalWarning',
  `--test-concurrency=${atOnce}`,
  '--test-timeout=600000',
];
