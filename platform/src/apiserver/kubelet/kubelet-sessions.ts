/** Exec, attach and port-forward at a kubelet over SPDY, the protocol that every kubelet and every runtime behind one speaks: as sessions. */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ExecOptions } from '../../node/gateway.ts';
import type { StreamSession } from '../../runtime/runtime.ts';
import { SpdyConnection } from '../streaming/spdy/connection.ts';
import type { SpdyStream } from '../streaming/spdy/stream.ts';
import type { KubeletClient, KubeletRequest } from './kubelet-client.ts';

export interface SessionParts {
  client: KubeletClient;
  log: Logger;
  clock: Clock;
}

const commandProtocol = 'v4.channel.k8s.io';
const forwardProtocol = 'portforward.k8s.io';
/** A Status with the command's last words; more is none. */
const maxErrorBytes = 64 << 10;

export async function openCommand(
  parts: SessionParts,
  path: string,
  wanted: Omit<ExecOptions, 'command' | 'container'>,
): Promise<StreamSession> {
  const connection = await connect(parts, { path, method: 'POST' }, commandProtocol);
  const open = (type: string) => connection.open([['streamtype', type]]);
  const error = open('error');
  const stdin = wanted.stdin ? open('stdin') : undefined;
  const stdout = wanted.stdout ? open('stdout') : undefined;
  const stderr = wanted.stderr && !wanted.tty ? open('stderr') : undefined;
  const resizes = wanted.tty ? open('resize') : undefined;
  stdin?.discard();
  resizes?.discard();
  const sizes = resizes?.writable.getWriter();
  const exited = textOf(error).then((text) => ({ exitCode: exitCodeOf(text) }));
  exited.catch(() => {});
  return {
    ...(stdin ? { stdin: stdin.writable } : {}),
    stdout: stdout?.readable ?? new ReadableStream({ start: (controller) => controller.close() }),
    ...(stderr ? { stderr: stderr.readable } : {}),
    resize: async (columns, rows) => {
      await sizes?.write(Buffer.from(JSON.stringify({ Width: columns, Height: rows }))).catch(() => {});
    },
    exited,
    [Symbol.asyncDispose]: async () => connection.destroy(),
  };
}

/** One connection of the port's; what the kubelet has to say against it comes as the error of what is read. */
export async function openForward(parts: SessionParts, path: string, port: number): Promise<StreamSession> {
  const connection = await connect(parts, { path, method: 'POST' }, forwardProtocol);
  const open = (type: string) =>
    connection.open([
      ['streamtype', type],
      ['port', String(port)],
      ['requestid', '0'],
    ]);
  const error = open('error');
  const data = open('data');
  const complaint = textOf(error);
  const exited = complaint.then(() => ({ exitCode: 0 }));
  exited.catch(() => {});
  const told = new TransformStream<Uint8Array, Uint8Array>({
    flush: async () => {
      const words = await complaint;
      if (words) throw new SampanError('ServiceUnavailable', words);
    },
  });
  return {
    stdin: data.writable,
    stdout: data.readable.pipeThrough(told),
    resize: async () => {},
    exited,
    [Symbol.asyncDispose]: async () => connection.destroy(),
  };
}

async function connect(
  { client, log, clock }: SessionParts,
  wanted: KubeletRequest,
  protocol: string,
): Promise<SpdyConnection> {
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol };
  const { socket, head, headers: answered } = await client.upgrade({ ...wanted, headers });
  if (answered['x-stream-protocol-version'] === protocol)
    return new SpdyConnection({ duplex: socket, head, log, clock });
  socket.destroy();
  throw new SampanError('ServiceUnavailable', `the kubelet does not speak ${protocol}`);
}

/** All of a stream that we write nothing to. Throws ServiceUnavailable when the connection breaks before its end. */
async function textOf(stream: SpdyStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  void stream.writable.close().catch(() => {});
  for await (const chunk of stream.readable) {
    size += chunk.length;
    if (size > maxErrorBytes)
      throw new SampanError('InternalError', 'the kubelet does not come to the end of its words');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const statusSchema = z.object({
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  details: z
    .object({
      causes: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).default([]),
    })
    .default({ causes: [] }),
});

/** Version 4 of the protocol: a metav1.Status. Throws InternalError with its words where there was no process to have an exit code. */
export function exitCodeOf(text: string): number {
  const { status, reason, message, details } = statusOf(text);
  if (status === 'Success') return 0;
  const code = details.causes.find((cause) => cause.reason === 'ExitCode')?.message ?? '';
  if (reason === 'NonZeroExitCode' && /^\d{1,3}$/.test(code)) return Number(code);
  throw new SampanError('InternalError', message || reason);
}

function statusOf(text: string): z.infer<typeof statusSchema> {
  try {
    return statusSchema.parse(JSON.parse(text));
  } catch {
    throw new SampanError('InternalError', text.trim() || 'the kubelet hung up without a word');
  }
}
