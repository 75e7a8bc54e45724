/** One line of a log in CRI's format: `<RFC 3339 time> <stdout|stderr> <P|F> <text>` (kubelet-cri-logging). */

export interface LogEntry {
  /** As it stands in the log, nanoseconds included. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** The line goes on in the stream's next entry. */
  partial: boolean;
  text: Buffer;
}

const space = 0x20;

/** Undefined for anything that is not in the format: a torn line after a crash is passed over. `line` is without its newline. */
export function parseLogLine(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const third = line.indexOf(space, second + 1);
  const tag = line.toString('latin1', second + 1, third < 0 ? line.length : third);
  // Tags are a list joined by ':', of which only the first says anything yet.
  const kind = tag.split(':')[0];
  if (kind !== 'P' && kind !== 'F') return undefined;
  const text = third < 0 ? Buffer.alloc(0) : line.subarray(third + 1);
  return { time: line.toString('latin1', 0, first), stream, partial: kind === 'P', text };
}
