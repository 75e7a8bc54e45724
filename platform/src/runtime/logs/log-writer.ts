/**
 * Writes a container's output to its log file. Owns the open file, the cutting into entries, and the offsets that are safely written.
 *
 * A piece of a line waits for its newline (or 16 KiB, or the stream's end) unacknowledged: a server that dies asks the guest for it again.
 * A write that fails (disk full) is undone and tried again by the pump: the container then blocks as on a full pipe, and no line is lost.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { OutputChunk } from '../agent/agent.ts';
import type { LogBase } from '../records/container-record.ts';
import { type LogStream, logEntries, pieceEntry } from './cri-log-line.ts';
import { countLog } from './log-resume.ts';

export interface Offsets {
  stdout: bigint;
  stderr: bigint;
}

interface Tail {
  /** Stream offset of the first byte that is not in the log. */
  written: bigint;
  held: Buffer;
  timeNanos: bigint;
}

export class LogWriter {
  readonly #path: string;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  #tails: Record<LogStream, Tail>;

  /** An empty path keeps no log: everything counts as written. */
  constructor(path: string, from: Offsets = { stdout: 0n, stderr: 0n }) {
    this.#path = path;
    const tail = (written: bigint): Tail => ({ written, held: Buffer.alloc(0), timeNanos: 0n });
    this.#tails = { stdout: tail(from.stdout), stderr: tail(from.stderr) };
  }

  /** What the log holds: where the guest is asked to go on, and what is acknowledged. */
  get written(): Offsets {
    return { stdout: this.#tails.stdout.written, stderr: this.#tails.stderr.written };
  }

  /** Opens (or, after a rotation renamed the file, opens anew) and says where the file begins. Undefined without a path. */
  async open(): Promise<LogBase | undefined> {
    if (!this.#path) return undefined;
    await mkdir(dirname(this.#path), { recursive: true });
    const file = await open(this.#path, 'a+', 0o640);
    const { ino } = await file.stat();
    const old = this.#file;
    const held = await countLog(file);
    this.#file = file;
    this.#fileBytes = held.wholeBytes;
    await old?.close();
    // A file that was there already (we were restarted) began earlier in the streams by what it holds.
    const { stdout, stderr } = this.written;
    return { inode: ino, stdout: stdout - held.stdout, stderr: stderr - held.stderr };
  }

  /** Takes a chunk; bytes that the log or the tail already has are skipped. Throws what the filesystem throws; the same chunk may then be given again. */
  async write(chunk: OutputChunk): Promise<void> {
    const tail = this.#tails[chunk.stream];
    const expected = tail.written + BigInt(tail.held.length);
    const skip = expected - chunk.offset;
    // The guest lost bytes (its log was deleted under us): go on from where it can.
    if (skip < 0n) {
      await this.#flush(chunk.stream);
      tail.written = chunk.offset;
    }
    const fresh = skip > 0n ? chunk.data.subarray(Number(skip)) : chunk.data;
    if (skip >= BigInt(chunk.data.length)) return;
    const bytes = tail.held.length > 0 ? Buffer.concat([tail.held, fresh]) : bufferOf(fresh);
    const { text, taken } = logEntries(chunk.timeUnixNanos, chunk.stream, bytes, takeScratch);
    try {
      if (taken > 0) await this.#append(text);
    } finally {
      giveScratch(text);
    }
    tail.written += BigInt(taken);
    // A copy: what waits for its newline may wait long, and is little of what came with it.
    tail.held = Buffer.from(bytes.subarray(taken));
    tail.timeNanos = chunk.timeUnixNanos;
  }

  /** The streams ended: what waited for a newline is written as a piece. */
  async end(): Promise<void> {
    await this.#flush('stdout');
    await this.#flush('stderr');
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Forgets what is held in memory: the guest will send it again on a new connection. */
  dropHeld(): void {
    for (const tail of Object.values(this.#tails)) tail.held = Buffer.alloc(0);
  }

  async #flush(stream: LogStream): Promise<void> {
    const tail = this.#tails[stream];
    if (tail.held.length === 0) return;
    await this.#append(pieceEntry(tail.timeNanos, stream, tail.held));
    tail.written += BigInt(tail.held.length);
    tail.held = Buffer.alloc(0);
  }

  /** All or nothing. */
  async #append(bytes: Buffer): Promise<void> {
    if (!this.#path) return;
    if (!this.#file) throw new Error(`log ${this.#path} is not open`);
    try {
      await this.#file.appendFile(bytes);
      this.#fileBytes += bytes.length;
    } catch (error) {
      await this.#file.truncate(this.#fileBytes).catch(() => {});
      throw error;
    }
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Memory in which entries are laid out, used again and again: most chunks fit. */
const scratchBytes = 128 * 1024;
/** Less is a slice of what others share. */
const smallestScratch = 32 * 1024;
const mostSpare = 8;
const spare: ArrayBuffer[] = [];

function takeScratch(size: number): Buffer {
  if (size > scratchBytes || size < smallestScratch) return Buffer.allocUnsafe(size);
  return Buffer.from(spare.pop() ?? new ArrayBuffer(scratchBytes), 0, size);
}

function giveScratch(text: Buffer): void {
  if (text.length < smallestScratch || spare.length >= mostSpare) return;
  if (text.buffer instanceof ArrayBuffer && text.buffer.byteLength === scratchBytes) spare.push(text.buffer);
}
