/**
 * hostPath volumes: what kubelet checks or makes before a Pod may mount a path of the node. Sockets and devices mean something only to the kernel
 * they are of: the runtime refuses them to a Pod that has a kernel of its own.
 */
import type { Stats } from 'node:fs';
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
  if (type === 'DirectoryOrCreate') await unlessThere(mkdir(path, { recursive: true, mode: 0o755 }));
  if (type === 'FileOrCreate') await unlessThere(writeFile(path, '', { flag: 'wx', mode: 0o644 }));
  const found = await stat(path).catch(() => undefined);
  const promised = promises[type];
  if (!promised) throw new SampanError('Invalid', `${type} is an invalid volume type`);
  if (found && promised.holds(found)) return;
  throw new SampanError('FailedPrecondition', `hostPath type check failed: ${path} is not a ${promised.word}`);
}

const aDirectory = { word: 'directory', holds: (found: Stats) => found.isDirectory() };
const aFile = { word: 'file', holds: (found: Stats) => found.isFile() };
const promises: Record<string, { word: string; holds(found: Stats): boolean }> = {
  Directory: aDirectory,
  DirectoryOrCreate: aDirectory,
  File: aFile,
  FileOrCreate: aFile,
  Socket: { word: 'socket file', holds: (found) => found.isSocket() },
  CharDevice: { word: 'character device', holds: (found) => found.isCharacterDevice() },
  BlockDevice: { word: 'block device', holds: (found) => found.isBlockDevice() },
};

async function unlessThere(made: Promise<unknown>): Promise<void> {
  await made.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
