/**
 * hostPath volumes: what kubelet checks or makes before a Pod may mount a path of the node. Sockets and devices mean something only to the kernel
 * they are of, which a Pod's is not: the API refuses these types, and the runtime what turns out to be one.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { normalize } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { HostPathVolumeSource } from 'kubernetes-types/core/v1.js';

/** Where the volume stands on the node. */
export const hostPathOf = ({ path }: HostPathVolumeSource): string => normalize(path).replace(/(.)\/$/, '$1');

/** Idempotent. Throws FailedPrecondition with kubelet's words. */
export async function checkHostPath(source: HostPathVolumeSource): Promise<void> {
  const { type } = source;
  if (!type) return;
  const path = hostPathOf(source);
  const wantsFile = type === 'File' || type === 'FileOrCreate';
  if (type === 'DirectoryOrCreate') await unlessThere(mkdir(path, { recursive: true, mode: 0o755 }));
  if (type === 'FileOrCreate') await unlessThere(writeFile(path, '', { flag: 'wx', mode: 0o644 }));
  const found = await stat(path).catch(() => undefined);
  if (wantsFile ? found?.isFile() : found?.isDirectory()) return;
  throw new SampanError(
    'FailedPrecondition',
    `hostPath type check failed: ${path} is not a ${wantsFile ? 'file' : 'directory'}`,
  );
}

async function unlessThere(made: Promise<unknown>): Promise<void> {
  await made.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
