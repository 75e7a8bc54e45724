/** A mount point that tells others of what is mounted beneath it, whatever it lies on tells. */
import { execFileSync } from 'node:child_process';

/** `umount -R -l` takes it away. */
export function mountShared(path: string): void {
  execFileSync('mount', ['--bind', path, path]);
  // A group of peers of its own.
  execFileSync('mount', ['--make-private', path]);
  execFileSync('mount', ['--make-shared', path]);
}
