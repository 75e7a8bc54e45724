/** Exec and attach over SPDY: one stream each for stdin, stdout, stderr, resize and the error status, opened by the client. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { ExecOptions } from '../../node/gateway.ts';
import type { CommandChannels } from './command.ts';
import { SpdyConnection, type SpdyConnectionOptions } from './spdy/connection.ts';
import type { SpdyStream } from './spdy/stream.ts';
import { asWords, type CommandStatus } from './status.ts';

/** Best first; the oldest clients name none. */
export const spdyCommandProtocols = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;
export type SpdyCommandProtocol = (typeof spdyCommandProtocols)[number];

/** kubelet's DefaultStreamCreationTimeout. */
const streamTimeoutMs = 30_000;

type StreamName = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize';

/**
 * Waits until the client has opened every stream that `options` asks for: a command started earlier could write into nothing.
 * Throws Timeout; ServiceUnavailable when the client is gone.
 */
export async function openSpdyCommand(
  connectionOptions: Omit<SpdyConnectionOptions, 'onStream'>,
  protocol: SpdyCommandProtocol,
  options: Omit<ExecOptions, 'command'>,
): Promise<CommandChannels> {
  const missing = new Set(expectedStreams(protocol, options));
  const streams = new Map<StreamName, SpdyStream>();
  const complete = Promise.withResolvers<void>();
  const onStream = (stream: SpdyStream) => {
    const name = stream.headers.get('streamtype') as StreamName;
    if (!missing.delete(name)) throw new SampanError('BadRequest', `stream "${name}" was not asked for, or came twice`);
    streams.set(name, stream);
    if (missing.size === 0) complete.resolve();
  };
  const connection = new SpdyConnection({ ...connectionOptions, onStream });
  try {
    await waitFor(complete.promise, connection.closed, connectionOptions.clock);
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return {
    stdin: streams.get('stdin')?.readable,
    stdout: streams.get('stdout')?.writable,
    stderr: streams.get('stderr')?.writable,
    resize: streams.get('resize')?.readable,
    gone: connection.closed,
    finish: (status) => finish(connection, streams, { status, protocol }),
  };
}

function expectedStreams(protocol: SpdyCommandProtocol, options: Omit<ExecOptions, 'command'>): StreamName[] {
  const names: StreamName[] = ['error'];
  for (const name of ['stdin', 'stdout', 'stderr'] as const) if (options[name]) names.push(name);
  const resizes = protocol === 'v4.channel.k8s.io' || protocol === 'v3.channel.k8s.io';
  return options.tty && resizes ? [...names, 'resize'] : names;
}

async function waitFor(complete: Promise<void>, closed: AbortSignal, clock: Clock): Promise<void> {
  const timer = new AbortController();
  const signal = AbortSignal.any([closed, timer.signal]);
  const timeout = clock.sleep(streamTimeoutMs, signal).then(
    () => {
      throw new SampanError('Timeout', `the client did not open its streams within ${streamTimeoutMs} ms`);
    },
    () => {
      if (closed.aborted) throw new SampanError('ServiceUnavailable', 'the client is gone');
    },
  );
  await Promise.race([complete, timeout]);
  timer.abort();
}

/** FIN on every stream, not RST: a reset would make the client drop what it has not read. */
async function finish(
  connection: SpdyConnection,
  streams: Map<StreamName, SpdyStream>,
  { status, protocol }: { status: CommandStatus; protocol: SpdyCommandProtocol },
): Promise<void> {
  const words = protocol === 'v4.channel.k8s.io' ? JSON.stringify(status) : asWords(status);
  const error = streams.get('error');
  try {
    const closings = (['stdout', 'stderr'] as const).map((name) => closeWritable(streams.get(name)));
    await Promise.all(closings);
    if (error) {
      const writer = error.writable.getWriter();
      await writer.write(Buffer.from(words));
      await writer.close();
    }
  } catch {
    // The client is gone; closing below cleans up.
  }
  await connection.close();
}

async function closeWritable(stream: SpdyStream | undefined): Promise<void> {
  if (stream && !stream.writable.locked) await stream.writable.close().catch(() => {});
}
