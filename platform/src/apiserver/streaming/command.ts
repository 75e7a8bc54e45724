/**
 * Exec and attach, whatever carries them: joins a client's channels with a session in the Pod until both ends are done.
 *
 * Owns the session: it is disposed when the command has ended or the client is gone. Backpressure passes through both ways.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { StreamSession } from '../../runtime/runtime.ts';
import { resizesOf } from './resize.ts';
import { type CommandStatus, exitStatus, failureStatus, success } from './status.ts';

/** The client's side, one implementation for each transport. */
export interface CommandChannels {
  /** Ends when the client closed its half; errors when it is gone. */
  stdin?: ReadableStream<Uint8Array>;
  stdout?: WritableStream<Uint8Array>;
  stderr?: WritableStream<Uint8Array>;
  /** JSON texts {"Width", "Height"}, cut anyhow. */
  resize?: ReadableStream<Uint8Array>;
  /** Sends the end of everything and the status, and hangs up. */
  finish(status: CommandStatus): Promise<void>;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
}

export interface ServeCommandOptions {
  channels: CommandChannels;
  start: () => Promise<StreamSession>;
  /** An attach says nothing of the exit code: clients read it from the Pod. */
  kind: 'exec' | 'attach';
  log: Logger;
}

/** Resolves when all is over. Never rejects. */
export async function serveCommand({ channels, start, kind, log }: ServeCommandOptions): Promise<void> {
  let status: CommandStatus;
  try {
    const exitCode = await runSession(channels, start);
    status = kind === 'exec' ? exitStatus(exitCode) : success;
  } catch (error) {
    log.debug({ error: messageOf(error) }, `${kind} failed`);
    status = failureStatus(error);
  }
  if (!channels.gone.aborted) await channels.finish(status).catch(() => {});
}

/** The exit code. Throws when the command could not be run, or the client is gone. */
async function runSession(channels: CommandChannels, start: () => Promise<StreamSession>): Promise<number> {
  await using session = await start();
  channels.gone.throwIfAborted();
  const { exitCode } = await Promise.race([joinSession(channels, session), rejectWhenAborted(channels.gone)]);
  return exitCode;
}

/** Resolves when the command has ended and its output has gone out. */
async function joinSession(channels: CommandChannels, session: StreamSession): Promise<{ exitCode: number }> {
  const { gone } = channels;
  const options = { signal: gone };
  if (channels.stdin && session.stdin) {
    // The command may close its stdin, or end, while the client goes on typing.
    channels.stdin.pipeTo(session.stdin, options).catch(() => {});
  } else void channels.stdin?.cancel().catch(() => {});
  if (channels.resize) void followResizes(channels.resize, session);
  const outputs = [session.stdout.pipeTo(channels.stdout ?? nowhere(), options)];
  if (session.stderr) outputs.push(session.stderr.pipeTo(channels.stderr ?? nowhere(), options));
  const [exit] = await Promise.all([session.exited, ...outputs]);
  return exit;
}

async function followResizes(resize: ReadableStream<Uint8Array>, session: StreamSession): Promise<void> {
  try {
    for await (const { columns, rows } of resizesOf(resize)) await session.resize(columns, rows).catch(() => {});
  } catch {
    // A client that is gone resizes no more; what is no size is not worth a session.
  }
}

const nowhere = () => new WritableStream<Uint8Array>();

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
