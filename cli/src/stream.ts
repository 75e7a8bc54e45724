/**
 * exec and attach over WebSocket, subprotocol v5.channel.k8s.io (KEP-4006): the first byte of a message is its channel:
 * 0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 terminal size, 255 half-close of the channel named by the second byte.
 */
import { WebSocket } from 'ws';
import type { Credentials } from './credentials.ts';
import { connectionLost, Failure } from './failure.ts';

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 };
/** Stop reading stdin while this much waits to be sent. */
const highWaterBytes = 1 << 20;

interface FinalStatus {
  status?: string;
  message?: string;
  reason?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** Connects this process's stdio to `path` (…/exec?… or …/attach?…). Resolves with the exit code the server reports. */
export async function streamStdio(
  credentials: Credentials,
  path: string,
  options: { stdin: boolean; tty: boolean },
): Promise<number> {
  const url = new URL(path, credentials.server.replace(/^http/, 'ws'));
  const socket = new WebSocket(url, 'v5.channel.k8s.io', {
    ca: credentials.ca,
    cert: credentials.cert,
    key: credentials.key,
    headers: credentials.token ? { authorization: `Bearer ${credentials.token}` } : {},
  });
  const raw = options.tty && process.stdin.isTTY;
  const ended = finalStatus(socket);
  await new Promise<void>((resolve, reject) => {
    socket.on('open', () => resolve());
    ended.catch(reject);
  });
  if (raw) process.stdin.setRawMode(true);
  const stopResize = options.tty ? followTerminalSize(socket) : () => {};
  if (options.stdin) pumpStdin(socket);
  try {
    return exitCode(await ended);
  } catch (error) {
    // The cursor stands behind what the other side wrote last.
    if (raw) process.stderr.write('\r\n');
    throw error;
  } finally {
    stopResize();
    if (raw) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdin.unref?.();
  }
}

function finalStatus(socket: WebSocket): Promise<FinalStatus> {
  return new Promise((resolve, reject) => {
    let status: FinalStatus | undefined;
    socket.on('message', (data: Buffer) => {
      const rest = data.subarray(1);
      if (data[0] === channel.stdout) process.stdout.write(rest);
      else if (data[0] === channel.stderr) process.stderr.write(rest);
      else if (data[0] === channel.error && rest.length > 0) status = JSON.parse(rest.toString('utf8')) as FinalStatus;
    });
    socket.on('unexpected-response', (_, response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => reject(refused(response.statusCode ?? 0, text)));
    });
    socket.on('error', reject);
    process.stdout.once('error', (error) => {
      reject(error);
      socket.terminate();
    });
    socket.on('close', () =>
      status ? resolve(status) : reject(connectionLost('the server closed it without a result')),
    );
  });
}

function refused(code: number, text: string): Error {
  let message = text.slice(0, 300);
  try {
    message = (JSON.parse(text) as FinalStatus).message ?? message;
  } catch {}
  return new Failure(message || `the server answered ${code}`, {
    why: `HTTP ${code}`,
    mend: './sampan ps shows what runs',
  });
}

function pumpStdin(socket: WebSocket): void {
  process.stdin.on('data', (data: Buffer) => {
    socket.send(Buffer.concat([Buffer.of(channel.stdin), data]), () => {
      if (socket.bufferedAmount < highWaterBytes) process.stdin.resume();
    });
    if (socket.bufferedAmount >= highWaterBytes) process.stdin.pause();
  });
  process.stdin.on('end', () => socket.send(Buffer.of(channel.close, channel.stdin)));
  process.stdin.resume();
}

function followTerminalSize(socket: WebSocket): () => void {
  const sendSize = () => {
    const size = JSON.stringify({ Width: process.stdout.columns ?? 80, Height: process.stdout.rows ?? 24 });
    socket.send(Buffer.concat([Buffer.of(channel.resize), Buffer.from(size)]));
  };
  sendSize();
  process.stdout.on('resize', sendSize);
  return () => process.stdout.off('resize', sendSize);
}

function exitCode(status: FinalStatus): number {
  if (status.status === 'Success') return 0;
  const cause = status.details?.causes?.find((one) => one.reason === 'ExitCode');
  if (cause) return Number(cause.message);
  throw new Failure(status.message ?? 'the command could not be run', {
    why: status.reason ?? 'the server gave no reason',
    mend: './sampan logs shows what the container said',
  });
}
