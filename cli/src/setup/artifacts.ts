/** The built things a server needs: guest (kernel, miniOS, agent) and host launcher, each cached under a key of what it is built from. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { CliInstance } from '../instance.ts';
import { runCommand } from './run-command.ts';
import { toolPath } from './tool-path.ts';

export interface Artifact {
  name: 'guest' | 'host';
  /** Where it is, or will be. */
  directory: string;
  built: boolean;
}

/** Which artifacts this checkout needs, and whether the cache has them. */
export async function artifacts(instance: CliInstance): Promise<Artifact[]> {
  return Promise.all(
    (['guest', 'host'] as const).map(async (name) => {
      const directory = join(instance.cache, name, await treeKey(join(instance.root, name)));
      return { name, directory, built: existsSync(join(directory, '.complete')) };
    }),
  );
}

/**
 * Where one is, or else the one that was built last: enough for taking down what an earlier checkout has made, for which nothing is booted. Its own place where
 * none is there.
 */
export async function directoryAtHand({ directory, built }: Artifact): Promise<string> {
  if (built) return directory;
  const shelf = dirname(directory);
  const names = await readdir(shelf).catch(() => []);
  const times = names.map(async (name) => {
    const mark = await stat(join(shelf, name, '.complete')).catch(() => undefined);
    return mark ? [{ name, timeMs: mark.mtimeMs }] : [];
  });
  const [newest] = (await Promise.all(times)).flat().sort((a, b) => b.timeMs - a.timeMs);
  return newest ? join(shelf, newest.name) : directory;
}

/** Builds one into the cache; its script prints progress. The script itself writes OUTDIR; `.complete` is ours and comes last. */
export async function buildArtifact(
  instance: CliInstance,
  artifact: Artifact,
  onLine: (line: string) => void,
): Promise<void> {
  const script = join(instance.root, artifact.name, 'build.sh');
  await runCommand('sh', [script, artifact.directory], {
    onLine,
    cwd: instance.root,
    env: { ...process.env, PATH: toolPath() },
  });
  await runCommand('touch', [join(artifact.directory, '.complete')]);
}

/** A digest of a source tree: names and contents of its files, less build output. */
async function treeKey(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await filesBelow(root)).sort()) {
    hash.update(`${relative(root, file)}\0`);
    hash.update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries
    .filter((entry) => !['target', 'node_modules'].includes(entry.name))
    .map((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]));
  return (await Promise.all(nested)).flat();
}
