/** Finds where the last lines of a log begin, reading from the end. */
import { open } from 'node:fs/promises';
import { parseLogLine } from './cri-line.ts';
import type { LogFile } from './log-files.ts';

const chunkBytes = 64 * 1024;
const newline = 0x0a;

export interface LogPosition {
  /** Index into the files. */
  file: number;
  offset: number;
}

/** The position from which `lines` whole lines follow; entries of one line that was cut in parts count once. */
export async function tailPosition(files: LogFile[], lines: number): Promise<LogPosition> {
  const end = { file: Math.max(0, files.length - 1), offset: files.at(-1)?.size ?? 0 };
  if (lines === 0) return end;
  let ends = 0;
  let position = end;
  for (let index = files.length - 1; index >= 0; index--) {
    for await (const { offset, line } of linesBackwards(files[index]!)) {
      const entry = parseLogLine(line);
      // An unfinished line at the very end counts as one.
      if (entry && (!entry.partial || ends === 0)) ends++;
      if (ends > lines) return position;
      position = { file: index, offset };
    }
  }
  return position;
}

async function* linesBackwards(file: LogFile): AsyncGenerator<{ offset: number; line: Buffer }> {
  await using handle = await open(file.path, 'r');
  let start = file.size;
  let rest = Buffer.alloc(0);
  while (start > 0) {
    const length = Math.min(chunkBytes, start);
    start -= length;
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, start);
    rest = Buffer.concat([buffer, rest]);
    let end = rest.length;
    for (;;) {
      // A line begins after a newline that is not its own last byte.
      const before = end >= 2 ? rest.lastIndexOf(newline, end - 2) : -1;
      if (before < 0) break;
      yield { offset: start + before + 1, line: withoutNewline(rest.subarray(before + 1, end)) };
      end = before + 1;
    }
    rest = rest.subarray(0, end);
  }
  if (rest.length > 0) yield { offset: 0, line: withoutNewline(rest) };
}

const withoutNewline = (line: Buffer): Buffer => (line.at(-1) === newline ? line.subarray(0, -1) : line);
