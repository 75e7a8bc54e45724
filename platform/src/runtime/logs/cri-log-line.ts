/**
 * The CRI log format (kubernetes/design-proposals "CRI: Log management for container stdout/stderr streams"):
 *
 *   2016-10-06T00:17:09.669794202Z stdout F a whole line
 *   2016-10-06T00:17:09.669794203Z stderr P a piece of one
 *
 * Pure: cutting a stream into entries, and counting what a log file already holds of each stream.
 */

export type LogStream = 'stdout' | 'stderr';

/** A line longer than this is written in pieces. */
export const maxPieceBytes = 16 * 1024;
const newline = 0x0a;

/** Nanoseconds since the epoch to RFC 3339 with nine digits, UTC. */
export function rfc3339Nanos(nanos: bigint): string {
  const milliseconds = Number(nanos / 1_000_000n);
  const rest = (nanos % 1_000_000_000n).toString().padStart(9, '0');
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.${rest}Z`;
}

/** What stands before the content of an entry. `full` says that a newline stood after the content. */
function entryHead(timeNanos: bigint, stream: LogStream, full: boolean): Buffer {
  return Buffer.from(`${rfc3339Nanos(timeNanos)} ${stream} ${full ? 'F' : 'P'} `, 'latin1');
}

/** One entry, of a piece of a line. */
export function pieceEntry(timeNanos: bigint, stream: LogStream, content: Uint8Array): Buffer {
  return Buffer.concat([entryHead(timeNanos, stream, false), content, Buffer.of(newline)]);
}

/**
 * Cuts what was said at one moment into entries, as they stand in the file; `taken` is how many of the bytes they stand for. The rest is what
 * waits for its newline (less than 16 KiB). `text` is the beginning of what was allocated.
 */
export function logEntries(
  timeNanos: bigint,
  stream: LogStream,
  bytes: Buffer,
  allocate: (size: number) => Buffer = Buffer.allocUnsafe,
): { text: Buffer; taken: number } {
  const ends = entryEnds(bytes);
  if (ends.length === 0) return { text: Buffer.alloc(0), taken: 0 };
  const taken = ends.at(-1)!;
  const [whole, piece] = [entryHead(timeNanos, stream, true), entryHead(timeNanos, stream, false)];
  const text = allocate(taken + ends.length * (whole.length + 1));
  let from = 0;
  let at = 0;
  for (const end of ends) {
    const isWhole = bytes[end - 1] === newline && end - from <= maxPieceBytes + 1;
    text.set(isWhole ? whole : piece, at);
    at += whole.length;
    at += bytes.copy(text, at, from, isWhole ? end - 1 : end);
    text[at++] = newline;
    from = end;
  }
  return { text: text.subarray(0, at), taken };
}

/** Where entries end: behind each newline, and after each 16 KiB of a line that goes on. */
function entryEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  let from = 0;
  for (;;) {
    const at = bytes.indexOf(newline, from);
    const end = at < 0 ? bytes.length : at;
    for (; end - from > maxPieceBytes || (at < 0 && end - from === maxPieceBytes); from += maxPieceBytes)
      ends.push(from + maxPieceBytes);
    if (at < 0) return ends;
    ends.push(at + 1);
    from = at + 1;
  }
}

/** Bytes of the streams that entries of this file stand for, and where the last whole entry ends. */
export interface LogCount {
  stdout: bigint;
  stderr: bigint;
  wholeBytes: number;
}

const headPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^ ]{0,32} (stdout|stderr) (F|P) $/;
const longestHead = 80;

/** Counts entry by entry as chunks of a file come; a torn last entry is not counted. */
export class LogCounter {
  readonly count: LogCount = { stdout: 0n, stderr: 0n, wholeBytes: 0 };
  #held: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): void {
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    let from = 0;
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, from)) {
      this.#countEntry(bytes.subarray(from, at));
      this.count.wholeBytes += at + 1 - from;
      from = at + 1;
    }
    this.#held = Buffer.from(bytes.subarray(from));
  }

  /** An entry that is not ours (somebody wrote into the file) counts for nothing. */
  #countEntry(entry: Buffer): void {
    const text = entry.toString('latin1', 0, longestHead);
    const third = text.indexOf(' ', text.indexOf(' ', text.indexOf(' ') + 1) + 1);
    const match = headPattern.exec(text.slice(0, third + 1));
    if (!match) return;
    const content = BigInt(entry.length - (third + 1)) + (match[2] === 'F' ? 1n : 0n);
    this.count[match[1] as LogStream] += content;
  }
}
