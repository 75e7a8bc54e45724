/**
 * Where a container's log goes on after a restart: state is found in the log file, not remembered.
 *
 * The record says which file (inode) was open and how much of the streams older files hold (logBase); the rest is counted in the file.
 * It is found by inode, since it may have been renamed by a rotation that never came to reopen it.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LogBase } from '../records/container-record.ts';
import { type LogCount, LogCounter } from './cri-log-line.ts';

export interface ResumePoint {
  /** Where in the streams the log ends. */
  stdout: bigint;
  stderr: bigint;
}

/** Cuts a torn last entry off. A file that is gone took its content with it: undefined. */
export async function findResumePoint(logPath: string, base: LogBase): Promise<ResumePoint | undefined> {
  const path = await fileWithInode(logPath, base.inode);
  if (!path) return undefined;
  const file = await open(path, 'r+');
  try {
    const count = await countLog(file);
    return { stdout: base.stdout + count.stdout, stderr: base.stderr + count.stderr };
  } finally {
    await file.close();
  }
}

/** Counts a whole log file from its begin and cuts a torn last entry off. */
export async function countLog(file: FileHandle): Promise<LogCount> {
  const counter = new LogCounter();
  const buffer = Buffer.alloc(1 << 20);
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    counter.add(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  await file.truncate(counter.count.wholeBytes);
  return counter.count;
}

/** The log or one of its rotated names (`0.log`, `0.log.20240101-000000`). */
async function fileWithInode(logPath: string, inode: number): Promise<string | undefined> {
  const directory = dirname(logPath);
  const names = await readdir(directory).catch(() => [] as string[]);
  for (const name of names.filter((name) => name.startsWith(basename(logPath)))) {
    const path = join(directory, name);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() && found.ino === inode) return path;
  }
  return undefined;
}
