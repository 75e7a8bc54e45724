/** Builds Go programs of this folder once: a module's folder with all it pins names the binary, which stays in the user's cache. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../integration/clients-lab.ts';

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sampan-test/bin');
const buildMs = 9 * 60_000;

export interface GoTool {
  /** The binary, where it could be built. */
  path?: string;
  /** Why there is none. */
  missing?: string;
}

/** `folder` holds a go.mod with pinned versions; `target` is what is built, as `go build` names it; `flags` go before it. */
export async function buildGoTool(folder: string, target = '.', flags: string[] = []): Promise<GoTool> {
  const directory = join(import.meta.dirname, folder);
  const hash = createHash('sha256').update([target, ...flags].join(' '));
  for (const file of readdirSync(directory).sort()) hash.update(file).update(readFileSync(join(directory, file)));
  const path = join(cache, `${folder}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return { path };
  const go = await runProgram('go', ['version']).catch(() => undefined);
  if (go?.code !== 0) return { missing: 'there is no go on this machine' };
  await mkdir(cache, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const args = ['-n', '19', 'go', 'build', '-ldflags=-s -w', ...flags, '-o', fresh, target];
  const { code, output } = await runProgram('nice', args, { cwd: directory, timeoutMs: buildMs });
  if (code !== 0) return { missing: `go build failed: ${output.slice(-500)}` };
  await rename(fresh, path);
  return { path };
}
