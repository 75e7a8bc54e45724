/**
 * Fills Node's compile cache with the server's code before a server is started from new sources: the one that fills it has to hold the compiler of
 * types in memory for as long as it lives, and so that had better be a process that ends at once.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ServerCode {
  /** The checkout. */
  root: string;
  /** As the server will be run: code compiled under other flags is of no use to it. */
  flags: string[];
  environment: Record<string, string>;
}

/** Idempotent, and nothing to do when no source has changed. Throws where the cache cannot be written; a server that finds nothing there compiles for itself. */
export async function compileServer({ root, flags, environment }: ServerCode): Promise<void> {
  const directory = environment.NODE_COMPILE_CACHE ?? '';
  const mark = join(
    directory,
    `server-${process.version}-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`,
  );
  const made = (await stat(mark).catch(() => undefined))?.mtimeMs ?? 0;
  const sources = ['platform/src', 'api/src'].map((path) => join(root, path));
  if (made > Math.max(...(await Promise.all(sources.map(newestMs))))) return;
  await mkdir(directory, { recursive: true });
  const script = join(root, 'platform/src/cmd/compile-all.ts');
  const child = spawn(process.execPath, [...flags, script], {
    stdio: 'ignore',
    cwd: '/',
    env: { ...process.env, ...environment },
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', resolve);
  });
  if (code === 0) await writeFile(mark, root);
}

/** When a source beneath `directory` last changed; 0 where there is none. */
async function newestMs(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const times = entries
    .filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.mtimeMs ?? 0);
  return Math.max(0, ...(await Promise.all(times)));
}
