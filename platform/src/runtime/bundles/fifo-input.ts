/** Input from FIFOs: when they are opened, and when they end. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';

const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;

/** How long a FIFO's one writer may take to come. */
const writerMs = 5_000;

/** Where input comes from. */
export interface InputEnd {
  /** Ends when every writer has closed it, or close() was called. Read once: a named FIFO is opened by that. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Our own hold on a FIFO is let go: it ends once its other writers have closed it. */
  finish(): Promise<void>;
  close(): Promise<void>;
  /** It ends when whoever is at it has gone. */
  isTerminal?: boolean;
}

export interface InputOptions {
  /** It is one client's alone, and ends when that one leaves, or has not come in five seconds. */
  clock?: Clock;
  /** A FIFO that has a name was opened. */
  onOpen?: () => void;
}

/** A bare descriptor, which a stream then owns. Without waiting, so that it may be done on this thread. */
export const descriptor = (path: string, flags: number): number => openSync(path, flags);

const fifoStream = (fd: number): Socket =>
  new Socket({ fd, readable: true, writable: false, manualStart: true } as object);

export const openFifoInput = (path: string): InputEnd =>
  streamInput(fifoStream(descriptor(path, O_RDONLY | O_NONBLOCK)));

/**
 * Opened only when it is read, which is when its process starts: a client's first write waits for that. ctr says that its stdin is over only once it has
 * been told that the process is there; a pipe whose end it met before it would never end.
 */
export function namedFifoInput(path: string, { clock, onOpen }: InputOptions): InputEnd {
  let hold: number | undefined;
  let stream: Socket | undefined;
  let isFinished = false;
  let isClosed = false;
  const finish = async () => {
    isFinished = true;
    if (hold !== undefined) closeSync(hold);
    hold = undefined;
  };
  return {
    async *chunks() {
      if (isClosed) return;
      const fd = descriptorOr(path);
      if (fd === undefined) return;
      onOpen?.();
      if (!clock && !isFinished) hold = descriptor(path, O_WRONLY | O_NONBLOCK);
      const deadline = clock ? clock.monotonicMs() + writerMs : 0;
      let first = firstOf(fd);
      while (first === undefined && clock && !isFinished && !isClosed && clock.monotonicMs() < deadline) {
        await clock.sleep(20);
        first = firstOf(fd);
      }
      if (first === undefined || isClosed) return closeSync(fd);
      stream = fifoStream(fd);
      if (first.length > 0) yield first;
      yield* streamInput(stream).chunks();
    },
    finish,
    close: async () => {
      isClosed = true;
      await finish();
      stream?.destroy();
    },
  };
}

/** Undefined: its client has taken it away, which is an end too. */
function descriptorOr(path: string): number | undefined {
  try {
    return descriptor(path, O_RDONLY | O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** What has been written so far; undefined when nobody writes, not even somebody who waits in open(2). */
function firstOf(fd: number): Buffer | undefined {
  const buffer = Buffer.alloc(64 * 1024);
  try {
    const length = readSync(fd, buffer);
    return length > 0 ? buffer.subarray(0, length) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return Buffer.alloc(0);
  }
}

export function streamInput(stream: Socket): InputEnd {
  stream.on('error', () => {});
  return {
    async *chunks() {
      try {
        for await (const chunk of stream) yield chunk as Uint8Array;
      } catch {
        // Closed from our side, or a terminal that hung up: the end either way.
      }
    },
    finish: async () => {},
    close: async () => {
      stream.destroy();
    },
  };
}
