/**
 * Reads a container's log: rotated files first, then the one being written, then (following) what is still to come.
 * Owns: positions and filters. Does not own: who may read, which run of a container is meant (gateway).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { parseTime } from '@sampan/api/time.ts';
import { type LogEntry, parseLogLine } from './cri-line.ts';
import { type LogFile, logFiles } from './log-files.ts';
import { type LogPosition, tailPosition } from './tail.ts';

export interface ReadLogOptions {
  path: string;
  timestamps: boolean;
  tailLines?: number;
  limitBytes?: number;
  sinceTime?: Date;
  /** Absent: end at the end. */
  follow?: LogFollow;
}

export interface LogFollow {
  signal: AbortSignal;
  /** Resolves when more may have been written, and at the latest after a moment. */
  changed(): Promise<void>;
  /** True when nothing more will be written. Asked before each last look, so that nothing is missed. */
  ended(): boolean;
}

const chunkBytes = 64 * 1024;
/** A line longer than this is passed on in parts. */
const maxLineBytes = 1024 * 1024;

export async function* readLog(options: ReadLogOptions): AsyncGenerator<Uint8Array> {
  const formatter = new Formatter(options);
  const files = await logFiles(options.path);
  const start = options.tailLines === undefined ? { file: 0, offset: 0 } : await tailPosition(files, options.tailLines);
  for await (const lines of rawLines(options, files, start)) {
    const bytes = formatter.format(lines);
    if (bytes.length > 0) yield bytes;
    if (formatter.full) return;
  }
}

/** Batches of whole lines. */
async function* rawLines(options: ReadLogOptions, files: LogFile[], start: LogPosition): AsyncGenerator<Buffer[]> {
  const { follow, path } = options;
  let current: LogFile | undefined = files[start.file];
  let offset = start.offset;
  while (!follow?.signal.aborted) {
    current ??= (await logFiles(path))[0];
    const last = !follow || follow.ended();
    if (current) {
      await using handle = await open(current.path, 'r');
      const splitter = new LineSplitter();
      let ended = last;
      for (;;) {
        offset = yield* readToEnd(handle, offset, splitter);
        const next = await following(path, current.inode, handle);
        if (next) {
          // Nothing is written to a file any more once the next one is there, but it may have been since we came to its end.
          offset = yield* readToEnd(handle, offset, splitter);
          current = next;
          offset = 0;
          break;
        }
        if (ended) return;
        await follow!.changed();
        if (follow!.signal.aborted) return;
        ended = follow!.ended();
      }
    } else {
      if (last) return;
      await follow.changed();
    }
  }
}

/** The file after the one that is read; undefined when it is the last. */
async function following(path: string, inode: number, handle: FileHandle): Promise<LogFile | undefined> {
  for (;;) {
    const files = await logFiles(path);
    const index = files.findIndex((file) => file.inode === inode);
    if (index >= 0) return files[index + 1];
    // Rotated out of existence while it was read: the oldest that is left comes next.
    if ((await handle.stat()).nlink === 0) return files[0];
    // It was being renamed while we looked: look again.
  }
}

async function* readToEnd(handle: FileHandle, from: number, splitter: LineSplitter): AsyncGenerator<Buffer[], number> {
  let offset = from;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, offset);
    if (bytesRead === 0) return offset;
    offset += bytesRead;
    const lines = splitter.push(buffer.subarray(0, bytesRead));
    if (lines.length > 0) yield lines;
  }
}

class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, start)) {
      lines.push(data.subarray(start, end));
      start = end + 1;
    }
    this.#rest = data.subarray(start);
    if (this.#rest.length > maxLineBytes) this.#rest = Buffer.alloc(0);
    return lines;
  }
}

class Formatter {
  full = false;
  readonly #options: ReadLogOptions;
  #left: number;
  /** Whether the next entry of a stream goes on with a line. */
  readonly #within = { stdout: false, stderr: false };

  constructor(options: ReadLogOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  format(lines: Buffer[]): Buffer {
    const parts: Buffer[] = [];
    for (const line of lines) {
      const entry = parseLogLine(line);
      if (entry && this.#wanted(entry)) parts.push(...this.#render(entry));
    }
    const bytes = Buffer.concat(parts);
    const kept = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= kept.length;
    this.full = this.#left <= 0;
    return kept;
  }

  #wanted(entry: LogEntry): boolean {
    const since = this.#options.sinceTime;
    return !since || (parseTime(entry.time) ?? 0) >= since.getTime();
  }

  #render(entry: LogEntry): Buffer[] {
    const parts: Buffer[] = [];
    if (this.#options.timestamps && !this.#within[entry.stream]) parts.push(Buffer.from(`${entry.time} `));
    parts.push(entry.text);
    if (!entry.partial) parts.push(Buffer.from('\n'));
    this.#within[entry.stream] = entry.partial;
    return parts;
  }
}
