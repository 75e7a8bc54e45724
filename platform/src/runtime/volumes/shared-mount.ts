/** Whether what is mounted below a directory can reach the host at all: the mount it stands in must have shared propagation (mount_namespaces(7)). */
import { readFile, realpath } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';

/** Throws FailedPrecondition, in the words that other runtimes have for it. */
export async function wantSharedMount(path: string): Promise<void> {
  const [real, table] = await Promise.all([realpath(path), readFile('/proc/self/mountinfo', 'utf8')]);
  const mount = mountOf(table, real);
  if (!mount?.isShared)
    throw new SampanError(
      'FailedPrecondition',
      `path "${path}" is mounted on "${mount?.place}" but it is not a shared mount`,
    );
}

/** The mount that `path`, which has no links in it, stands in, from proc_pid_mountinfo(5). Pure. */
export function mountOf(table: string, path: string): { place: string; isShared: boolean } | undefined {
  let found: { place: string; isShared: boolean } | undefined;
  for (const line of table.split('\n')) {
    const [, , , , written, , ...rest] = line.split(' ');
    if (written === undefined) continue;
    const place = written.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    const isAbove = place === '/' || path === place || path.startsWith(`${place}/`);
    // A later one at the same place lies over the earlier.
    if (!isAbove || (found && place.length < found.place.length)) continue;
    const optional = rest.slice(0, rest.indexOf('-'));
    found = { place, isShared: optional.some((field) => field.startsWith('shared:')) };
  }
  return found;
}
