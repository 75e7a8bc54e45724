/** One call of grpc.health.v1.Health/Check, over HTTP/2 without TLS, with the two messages written by hand. */
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Outcome } from './outcome.ts';

export interface GrpcTarget {
  host: string;
  port: number;
  service: string;
  timeoutMs: number;
  clock: Clock;
}

/** HealthCheckResponse.ServingStatus. */
const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const unimplemented = 12;
const maxAnswerBytes = 4096;

/** Throws Timeout or ServiceUnavailable when there is no answer. */
export async function grpcCheck(target: GrpcTarget): Promise<Outcome> {
  const address = target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
  const session = connect(`http://${address}`);
  const done = new AbortController();
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      session.once('error', (error) => reject(unreachable(target, address, error)));
      target.clock.sleep(target.timeoutMs, done.signal).then(
        () =>
          reject(new SampanError('Timeout', `timeout: health rpc did not complete within ${target.timeoutMs / 1000}s`)),
        () => {},
      );
      call(session, target.service).then(resolve, (error) => reject(unreachable(target, address, error)));
    });
    return judge(answer);
  } finally {
    done.abort();
    session.destroy();
  }
}

function unreachable(target: GrpcTarget, address: string, error: Error): SampanError {
  const seconds = target.timeoutMs / 1000;
  return new SampanError(
    'ServiceUnavailable',
    `timeout: failed to connect service "${address}" within ${seconds}s: ${error.message}`,
    {},
    { cause: error },
  );
}

interface Answer {
  grpcStatus: number;
  grpcMessage: string;
  serving: number;
}

function call(session: ClientHttp2Session, service: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
      [constants.HTTP2_HEADER_USER_AGENT]: 'kube-probe/1.33',
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let trailers: Record<string, unknown> = {};
    stream.on('response', (headers) => {
      trailers = { ...headers };
    });
    stream.on('trailers', (more) => {
      trailers = { ...trailers, ...more };
    });
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxAnswerBytes) chunks.push(chunk);
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on('error', reject);
    stream.on('close', () =>
      resolve({
        grpcStatus: Number(trailers['grpc-status'] ?? 2),
        grpcMessage: String(trailers['grpc-message'] ?? ''),
        serving: decodeAnswer(Buffer.concat(chunks)),
      }),
    );
    stream.end(encodeRequest(service));
  });
}

function judge({ grpcStatus, grpcMessage, serving }: Answer): Outcome {
  if (grpcStatus === unimplemented)
    return {
      result: 'failure',
      output: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${grpcMessage}`,
    };
  if (grpcStatus !== 0)
    return { result: 'failure', output: `error: health rpc failed: ${grpcMessage || `code ${grpcStatus}`}` };
  const word = servingStatus[serving] ?? String(serving);
  if (word === 'SERVING') return { result: 'success', output: 'service healthy' };
  return { result: 'failure', output: `service unhealthy (responded with "${word}")` };
}

/** A gRPC frame (flag, length, message) around HealthCheckRequest{service = 1}. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** HealthCheckResponse{status = 1}: a frame that holds nothing else; no field means UNKNOWN. */
function decodeAnswer(frame: Buffer): number {
  const message = frame.subarray(5);
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}
