/**
 * A file of JSON lines that begins anew when it is full: <path> is the current one, <path>.1 the one before it, up to <path>.<kept>.
 * Lines are written in order, behind the requests' backs; when the disk cannot keep up they are dropped, and how many is logged.
 */
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { AuditSink } from './audit-trail.ts';

export interface AuditLogOptions {
  path: string;
  log: Logger;
  maxBytes?: number;
  /** Full files that stay beside the current one. */
  kept?: number;
}

const maxPending = 20_000;

export async function openAuditLog(options: AuditLogOptions): Promise<AuditSink> {
  const { path, log, maxBytes = 100 << 20, kept = 5 } = options;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  let file = await openFile(path);
  const pending: string[] = [];
  let dropped = 0;
  let writing: Promise<void> | undefined;

  const rotate = async () => {
    await file.handle.close();
    for (let i = kept; i >= 1; i--) {
      const from = i === 1 ? path : `${path}.${i - 1}`;
      await rename(from, `${path}.${i}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    file = await openFile(path);
  };

  const drain = async () => {
    while (pending.length > 0) {
      const fitting = countFitting(pending, maxBytes - file.size);
      // A line longer than a whole file stands alone in one.
      const lines = pending.splice(0, fitting || 1);
      try {
        if (fitting === 0 && file.size > 0) await rotate();
        const batch = Buffer.from(lines.join(''));
        await file.handle.appendFile(batch);
        file.size += batch.length;
      } catch (error) {
        log.error({ path, error: messageOf(error) }, 'the audit log cannot be written');
      }
      if (dropped > 0) log.error({ path, dropped }, 'the audit log did not keep up');
      dropped = 0;
    }
    writing = undefined;
  };

  return {
    write(event) {
      if (pending.length >= maxPending) {
        dropped += 1;
        return;
      }
      pending.push(`${JSON.stringify(event)}\n`);
      writing ??= drain();
    },
    async close() {
      await writing;
      await file.handle.close();
    },
  };
}

/** How many of the first lines have room together. */
function countFitting(lines: string[], room: number): number {
  let bytes = 0;
  const tooFar = lines.findIndex((line) => {
    bytes += Buffer.byteLength(line);
    return bytes > room;
  });
  return tooFar < 0 ? lines.length : tooFar;
}

async function openFile(path: string): Promise<{ handle: FileHandle; size: number }> {
  const handle = await open(path, 'a', 0o600);
  return { handle, size: (await handle.stat()).size };
}
