/** Network namespaces by their path: making, removing, and working inside one. Owns no state; the callers own their paths. */
import { existsSync } from 'node:fs';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../base/child.ts';

/** statfs(2) of a bound namespace. */
const nsfsMagic = 0x6e736673;

export const isNetns = async (path: string): Promise<boolean> =>
  (await statfs(path).catch(() => undefined))?.type === nsfsMagic;

/** A fresh namespace, held by its path alone, with `lo` up. Idempotent. */
export async function makeNetns(path: string): Promise<void> {
  if (!(await isNetns(path))) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, '');
    await run('unshare', [`--net=${path}`, 'true']);
  }
  await changeLinksIn(path, ['link set dev lo up']);
}

/** Another name of a namespace, which holds it beyond the process whose it is. Idempotent. */
export async function bindNetns(from: string, path: string): Promise<void> {
  if (await isNetns(path)) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, '');
  await run('mount', ['--bind', from, path]);
}

/** The namespace ends with its last process or path. Idempotent. */
export async function removeNetns(path: string): Promise<void> {
  if (await isNetns(path)) await run('umount', ['-l', path]);
  await rm(path, { force: true });
}

/** Runs `ip` commands in a network namespace. Throws InternalError with iproute2's words. */
export async function changeLinksIn(netnsPath: string, commands: string[]): Promise<void> {
  await run('nsenter', [`--net=${netnsPath}`, 'ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** Throws Invalid for what iproute2 would read as several words, FailedPrecondition when nothing is there. */
export function checkNetnsPath(path: string): void {
  if (!/^\/[\w./:@+-]{1,4000}$/.test(path))
    throw new SampanError('Invalid', `"${path}" is no path of a network namespace`);
  if (!existsSync(path)) throw new SampanError('FailedPrecondition', `there is no network namespace ${path}`);
}
