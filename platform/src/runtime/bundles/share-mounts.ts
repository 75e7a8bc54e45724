/**
 * The host's side of a machine's share: one directory a sandbox, a mount point of shared propagation, below which containers' roots and bind
 * mounts are bound as they come and go. Owns these mounts; not the root directories behind them.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import type { CarriedMount } from './guest-config.ts';

/** What binds and unbinds: commands on the host, a plain note in tests. */
export interface ShareMounts {
  /** Makes the share's directory. Idempotent. */
  prepare(share: string): Promise<void>;
  /** Binds a container's root and carried mounts below its part. Idempotent. Throws NotFound or Unsupported naming the mount. */
  bind(part: string, rootfs: string, carried: CarriedMount[]): Promise<void>;
  /** Takes away everything at and below a path, mounts first. Idempotent. */
  release(path: string): Promise<void>;
}

export const hostShareMounts: ShareMounts = {
  async prepare(share) {
    await mkdir(share, { recursive: true, mode: 0o700 });
    if ((await mountsBelow(share)).includes(share)) return;
    await run('mount', ['--bind', share, share]);
    await run('mount', ['--make-private', share]);
    await run('mount', ['--make-shared', share]);
  },

  async bind(part, rootfs, carried) {
    const taken = new Set(await mountsBelow(part));
    for (const { name, source, destination } of carried) await checkKind(name, source, destination);
    const all = [{ name: 'rootfs', source: rootfs }, ...carried];
    for (const { name, source } of all) {
      const target = join(part, name);
      if (taken.has(target)) continue;
      await makeTarget(target, (await stat(source)).isDirectory());
      await run('mount', ['--rbind', source, target]);
      // What is mounted inside later comes along; nothing goes back to where it came from.
      await run('mount', ['--make-rslave', target]);
      await run('mount', ['--make-rshared', target]);
    }
  },

  async release(path) {
    // After a crash between bind and --make-rslave, unmounting what lies in a bind would unmount it on the host as well.
    for (const target of await mountsBelow(path)) await run('mount', ['--make-slave', target]);
    // Deepest first: the list is in the order of mounting.
    for (const target of (await mountsBelow(path)).reverse())
      await run('umount', ['--lazy', target], { okCodes: [0, 1, 32] });
    const left = await mountsBelow(path);
    if (left.length > 0)
      throw new SampanError('InternalError', `${left[0]} is still mounted; its files are left alone`);
    await rm(path, { recursive: true, force: true });
  },
};

async function makeTarget(target: string, isDirectory: boolean): Promise<void> {
  await mkdir(isDirectory ? target : join(target, '..'), { recursive: true, mode: 0o755 });
  if (!isDirectory) await writeFile(target, '', { flag: 'a' });
}

/** A socket or a device means something only to the kernel it lives in. */
async function checkKind(name: string, source: string, destination: string): Promise<void> {
  const kind = await stat(source).catch((error: NodeJS.ErrnoException) => {
    throw new SampanError('NotFound', `config.json: mounts ${destination}: ${source}: ${error.code} (${name})`);
  });
  if (!kind.isDirectory() && !kind.isFile())
    throw new SampanError(
      'Unsupported',
      `config.json: mounts ${destination}: ${source} is neither a file nor a directory; a machine does not reach it`,
    );
}

/** Mount points at or below a path, oldest first (proc_pid_mountinfo(5), field 5). */
async function mountsBelow(path: string): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text
    .split('\n')
    .map((line) => withoutEscapes(line.split(' ')[4] ?? ''))
    .filter((target) => target === path || target.startsWith(`${path}/`));
}

const withoutEscapes = (text: string) =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
