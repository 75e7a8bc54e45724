/**
 * The host's side of a machine's share: one directory a sandbox, a mount point of shared propagation, below which containers' roots and bind
 * mounts are bound as they come and go. Owns these mounts; not the root directories behind them. The work is done by one small process
 * (host/launcher/src/binds.rs): a container has half a dozen mounts, and a program started for each step was most of its start's time.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { LineChild } from '../../base/line-child.ts';
import type { CarriedMount } from './guest-mounts.ts';

/** What binds and unbinds: a process on the host, a plain note in tests. */
export interface ShareMounts {
  /** Makes the share's directory. Idempotent. */
  prepare(share: string): Promise<void>;
  /** Binds a container's root and carried mounts below its part. Idempotent. Throws NotFound or Unsupported naming the mount. */
  bind(part: string, rootfs: string, carried: CarriedMount[]): Promise<void>;
  /** Takes away everything at and below a path, mounts first. Idempotent. */
  release(path: string): Promise<void>;
  close?(): void;
}

/** `launcherPath` is sampan-launch. */
export function hostShareMounts(launcherPath: string): ShareMounts {
  const binds = new LineChild(launcherPath, ['binds']);
  return {
    prepare: (share) => binds.ask('share', share),
    async bind(part, rootfs, carried) {
      for (const mount of carried) await checkKind(mount);
      const all = [{ name: 'rootfs', source: rootfs, access: 'rw' }, ...carried];
      await Promise.all(all.map(({ name, source, access }) => binds.ask('bind', source, join(part, name), access)));
    },
    release: (path) => binds.ask('release', path),
    close: () => binds.close(),
  };
}

/** A socket or a device means something only to the kernel it lives in. */
async function checkKind({ name, source, destination, anyKind }: CarriedMount): Promise<void> {
  const kind = await stat(source).catch((error: NodeJS.ErrnoException) => {
    throw new SampanError('NotFound', `config.json: mounts ${destination}: ${source}: ${error.code} (${name})`);
  });
  if (!anyKind && !kind.isDirectory() && !kind.isFile())
    throw new SampanError(
      'Unsupported',
      `config.json: mounts ${destination}: ${source} is neither a file nor a directory; a machine does not reach it`,
    );
}
