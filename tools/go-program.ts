/**
 * Programs of others that tests and benchmarks need, built once from their Go modules into the user's cache. A folder with a go.mod pins what they are made of.
 * A build takes minutes: it says so, gives way to everything else on the machine, ends at its limit, and is never done twice at a time.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin');
const longestMs = 30 * 60_000;
const keptWords = 2_000;

export interface GoProgram {
  /** Its name in the cache; says the version. */
  file: string;
  /** Holds go.mod. */
  folder: string;
  /** What is built, as `go build` names it. */
  package: string;
  /** What comes between `go` and `-o`. */
  args: string[];
  env?: Record<string, string>;
}

/** Where a program is, once built. */
export const cachedProgram = (file: string): string => join(cache, file);

/** Whoever comes second finds it built; who was cut off has left nothing that could be taken for it. */
const once = 'path=$1; shift; [ -e "$path" ] || { rm -f "$path.fresh"; "$@" && mv "$path.fresh" "$path"; }';

/** Path of the program; builds it when it is not there, whole or not at all. Throws with what `go` said last. */
export async function buildGoProgram(program: GoProgram, limitMs = longestMs): Promise<string> {
  const path = cachedProgram(program.file);
  if (existsSync(path)) return path;
  const what = program.package === '.' ? program.file : program.package;
  await mkdir(cache, { recursive: true });
  // stdout is for what a benchmark has measured.
  console.error(`building ${what} from its Go modules, once; it takes some minutes`);
  const go = ['go', ...program.args, '-o', `${path}.fresh`, program.package];
  const inTurn = ['flock', `${path}.lock`, 'nice', '-n', '19', 'sh', '-c', once, 'sh', path, ...go];
  const child = spawn('timeout', [String(Math.ceil(limitMs / 1000)), ...inTurn], {
    cwd: program.folder,
    env: { ...process.env, ...program.env },
    stdio: ['ignore', 2, 'pipe'],
  });
  // Else it would go on without us.
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    words = (words + chunk).slice(-keptWords);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? -1));
  });
  process.off('exit', end);
  if (code === 0) return path;
  if (code === 127) throw new Error(`${what} is not built: there is no go on this machine`);
  throw new Error(`${what} ${code === 124 ? 'was not built in time' : `does not build: ${words}`}`);
}
