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

/** One entry. `full` says that a newline stood after the content. */
export function logEntry(timeNanos: bigint, stream: LogStream, full: boolean, content: Uint8Array): Buffer {
  const head = `${rfc3339Nanos(timeNanos)} ${stream} ${full ? 'F' : 'P'} `;
  return Buffer.concat([Buffer.from(head, 'latin1'), content, Buffer.from([newline])]);
}

export interface Entry {
  full: boolean;
  content: Buffer;
}

/** Cuts bytes into entries; the rest is what waits for its newline (less than 16 KiB). */
export function cutEntries(bytes: Buffer): { entries: Entry[]; rest: Buffer } {
  const entries: Entry[] = [];
  let from = 0;
  for (;;) {
    const at = bytes.indexOf(newline, from);
    const end = at < 0 ? bytes.length : at;
    for (; end - from > maxPieceBytes || (at < 0 && end - from === maxPieceBytes); from += maxPieceBytes)
      entries.push({ full: false, content: bytes.subarray(from, from + maxPieceBytes) });
    if (at < 0) return { entries, rest: bytes.subarray(from) };
    entries.push({ full: true, content: bytes.subarray(from, at) });
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
