/** What a machine boots from: the directory that guest/build.sh fills. Owns nothing of it. */
import { openSync } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';

export interface GuestArtifacts {
  kernelPath: string;
  initrdPath: string;
  /** The miniOS, EROFS; disk slot 'root'. */
  rootfsPath: string;
  /** The agent's own program: PID 1 of a machine on the host (vmm/namespace). */
  agentPath: string;
  /** Names this very content. */
  version: string;
}

/**
 * Resolves the directory first: a template goes on using its files when a later build moves the link `current`.
 * Throws FailedPrecondition naming what is missing and how to make it.
 */
export async function findGuestArtifacts(directory: string): Promise<GuestArtifacts> {
  const resolved = await realpath(directory).catch(() => {
    throw missing(directory);
  });
  const [kernelPath, initrdPath, rootfsPath] = await Promise.all(
    ['vmlinuz', 'initrd.img', 'rootfs.erofs'].map(async (name) => {
      const path = join(resolved, name);
      const found = await stat(path).catch(() => undefined);
      if (!found?.isFile() || found.size === 0) throw missing(path);
      return path;
    }),
  );
  const version = await readFile(join(resolved, 'version'), 'utf8').catch(() => {
    throw missing(join(resolved, 'version'));
  });
  return {
    kernelPath: kernelPath!,
    initrdPath: initrdPath!,
    rootfsPath: rootfsPath!,
    agentPath: join(resolved, 'agent'),
    version: version.trim(),
  };
}

/**
 * Keeps the build from being cleared away by later ones for as long as this process lives: guest/build.sh leaves directories that somebody has open.
 * Templates and machines to come open its files by path.
 */
export function holdGuestArtifacts(artifacts: GuestArtifacts): void {
  // A bare descriptor: a FileHandle would be closed when nobody refers to it any more.
  openSync(dirname(artifacts.rootfsPath), 'r');
}

function missing(path: string): SampanError {
  return new SampanError(
    'FailedPrecondition',
    `guest image: ${path} is missing or empty; run guest/build.sh to make it`,
  );
}
