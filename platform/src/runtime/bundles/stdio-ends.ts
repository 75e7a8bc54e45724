/**
 * The host's ends of a process's stdio, named by paths: FIFOs, terminals, files, or /proc/<pid>/fd/<n>. Each is opened without waiting for the
 * other side, and never blocks a thread: a client that does not read stops its own container only.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { type FileHandle, lstat, open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { isatty, ReadStream as TtyReader, WriteStream as TtyWriter } from 'node:tty';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import {
  descriptor,
  type InputEnd,
  type InputOptions,
  namedFifoInput,
  openFifoInput,
  streamInput,
} from './fifo-input.ts';

export type { InputEnd } from './fifo-input.ts';

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK, O_APPEND, O_NOCTTY } = constants;

/** Where output goes. */
export interface OutputEnd {
  /** Resolves when the path has taken it; false: nobody can read it any more. */
  write(data: Uint8Array): Promise<boolean>;
  close(): Promise<void>;
  /** Where it is a FIFO that has a name: others may hold it too. */
  fifo?: string;
}

const nothing: OutputEnd = { write: async () => true, close: async () => {} };

/** 1, 3. */
const nullDevice = 0x103;

/** How long a FIFO's reader may take to come. */
const readerMs = 5_000;

/**
 * Opens for writing; an empty path takes everything and keeps nothing. With `clock`: waits for a FIFO's reader first, because what is written to one that
 * nobody has opened yet is lost when we close it. Throws FailedPrecondition naming the path.
 */
export async function openOutput(path: string | undefined, clock?: Clock): Promise<OutputEnd> {
  if (!path) return nothing;
  try {
    const kind = await stat(path);
    if (kind.isFIFO()) {
      // A hold on a named FIFO's reading side keeps writes from failing while its reader is away.
      const isNamed = (await lstat(path)).isFIFO();
      const probe = isNamed && clock ? await readerOf(path, clock) : undefined;
      const flags = isNamed ? O_RDWR : O_WRONLY;
      const fd = descriptor(path, flags | O_NONBLOCK);
      // Only now: a reader that sees no writer for a moment takes it for the end.
      if (probe !== undefined) closeSync(probe);
      return { ...socketOutput(fd), ...(isNamed ? { fifo: path } : {}) };
    }
    if (kind.isCharacterDevice()) {
      const fd = descriptor(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
      if (isatty(fd)) return streamOutput(new TtyWriter(fd));
      return fileOutput(await reopened(fd, path, O_WRONLY));
    }
    return fileOutput(await open(path, O_WRONLY | O_APPEND));
  } catch (error) {
    throw new SampanError('FailedPrecondition', `cannot open ${path} for output: ${messageOf(error)}`);
  }
}

/** A descriptor that could be opened because there is a reader; undefined when none came. */
async function readerOf(path: string, clock: Clock): Promise<number | undefined> {
  const deadline = clock.monotonicMs() + readerMs;
  for (let delayMs = 1; clock.monotonicMs() < deadline; delayMs = Math.min(delayMs * 2, 50)) {
    try {
      return openSync(path, O_WRONLY | O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    await clock.sleep(delayMs);
  }
  return undefined;
}

/**
 * Opens for reading; undefined for an empty path and for /dev/null. Throws FailedPrecondition naming the path. A named FIFO is held open until finish(): one client's
 * leaving is not its end, the next may come, unless the options say otherwise.
 */
export async function openInput(path: string | undefined, options: InputOptions = {}): Promise<InputEnd | undefined> {
  if (!path) return undefined;
  try {
    const kind = await stat(path);
    if (kind.isFIFO()) return (await lstat(path)).isFIFO() ? namedFifoInput(path, options) : openFifoInput(path);
    // The process gets one of its own.
    if (kind.isCharacterDevice() && kind.rdev === nullDevice) return undefined;
    if (kind.isCharacterDevice()) {
      const fd = descriptor(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
      if (isatty(fd)) return { ...streamInput(new TtyReader(fd)), isTerminal: true };
      return fileInput(await reopened(fd, path, O_RDONLY));
    }
    return fileInput(await open(path, O_RDONLY));
  } catch (error) {
    throw new SampanError('FailedPrecondition', `cannot open ${path} for input: ${messageOf(error)}`);
  }
}

async function reopened(fd: number, path: string, flags: number): Promise<FileHandle> {
  closeSync(fd);
  return open(path, flags);
}

function socketOutput(fd: number): OutputEnd {
  return streamOutput(new Socket({ fd, readable: false, writable: true }));
}

function streamOutput(stream: Socket): OutputEnd {
  let broken = false;
  stream.on('error', () => {
    broken = true;
  });
  return {
    write: (data) =>
      new Promise((resolve) => {
        if (broken || stream.destroyed) return resolve(false);
        const gone = () => resolve(false);
        stream.once('close', gone);
        stream.write(data, (error) => {
          stream.off('close', gone);
          resolve(!error);
        });
      }),
    // A FIFO knows no shutdown: what was written has been taken when write() resolved.
    close: async () => {
      stream.destroy();
    },
  };
}

function fileOutput(file: FileHandle): OutputEnd {
  return {
    write: async (data) => {
      try {
        await file.writeFile(data);
        return true;
      } catch {
        return false;
      }
    },
    close: () => file.close().catch(() => {}),
  };
}

function fileInput(file: FileHandle): InputEnd {
  let closed = false;
  return {
    async *chunks() {
      const buffer = Buffer.alloc(64 * 1024);
      while (!closed) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null).catch(() => ({ bytesRead: 0 }));
        if (bytesRead === 0) return;
        yield Buffer.from(buffer.subarray(0, bytesRead));
      }
    },
    finish: async () => {},
    close: async () => {
      closed = true;
      await file.close().catch(() => {});
    },
  };
}
