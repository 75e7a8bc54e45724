/**
 * Whether a container's program can be there, seen from the host before anything is made. Engines tell "not found" (exit code 127) from other faults by what `create`
 * says, and in the machine it shows only at the start. Says nothing of programs that a mount or a
 * hook may bring.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { OciConfig } from '../runtime/bundles/oci-config.ts';

/** As many links as the kernel follows in one path. */
const maxLinks = 40;

/** Throws NotFound in crun's words where there is surely none. `rootfs` is on the host. */
export function checkProgram(
  { process, mounts, hooks }: Pick<OciConfig, 'process' | 'mounts' | 'hooks'>,
  rootfs: string,
): void {
  const name = process.args?.[0];
  if (!name || Object.values(hooks ?? {}).some((list) => list?.length)) return;
  const covered = (mounts ?? []).map(({ destination }) => posix.resolve('/', destination));
  const cwd = posix.resolve('/', process.cwd ?? '/');
  const isAbsent = (path: string) => presence(posix.resolve(cwd, path), rootfs, covered) === 'absent';
  const path = process.env?.findLast((entry) => entry.startsWith('PATH='))?.slice(5);
  const places = name.includes('/') ? [name] : path?.split(':').map((directory) => posix.join(directory || '.', name));
  if (places?.every(isAbsent))
    throw new SampanError('NotFound', `executable file \`${name}\` not found in $PATH: No such file or directory`);
}

/** Of an absolute path inside a root: links are followed as if the root were all there is. */
function presence(path: string, rootfs: string, covered: string[]): 'there' | 'absent' | 'unknown' {
  let parts = path.split('/').filter(Boolean);
  let at = '/';
  if (covered.includes(at)) return 'unknown';
  for (let links = 0; parts.length > 0; ) {
    const [part, ...rest] = parts as [string, ...string[]];
    parts = rest;
    at = posix.join(at, part);
    if (covered.includes(at)) return 'unknown';
    const here = posix.join(rootfs, at);
    try {
      const kind = lstatSync(here);
      if (kind.isSymbolicLink()) {
        if (++links > maxLinks) return 'unknown';
        parts = [...readlinkSync(here).split('/').filter(Boolean), ...parts];
        at = readlinkSync(here).startsWith('/') ? '/' : posix.dirname(at);
      } else if (!kind.isDirectory() && parts.length > 0) return 'absent';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unknown';
    }
  }
  return 'there';
}
