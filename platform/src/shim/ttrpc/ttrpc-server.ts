/**
 * A ttrpc server on one socket. Owns connections and the bounds on them; not what methods mean.
 * A client that sends what is no ttrpc, or has too many calls open, loses its connection.
 */
import type { Socket } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import {
  encodeMessage,
  MessageDecoder,
  maxMessageBytes,
  messageType,
  requestMessage,
  responseMessage,
  type TtrpcMessage,
} from './ttrpc-frames.ts';
import { statusOf } from './ttrpc-status.ts';

export interface TtrpcCall {
  payload: Buffer;
  /** Aborts when the client is gone or its time is over. */
  signal: AbortSignal;
}

/** By `service/method`. Resolves with the encoded answer. */
export type TtrpcMethods = ReadonlyMap<string, (call: TtrpcCall) => Promise<Buffer>>;

/** containerd waits with one call a process of a task. */
const mostCalls = 65_536;

export function serveTtrpc(socket: Socket, methods: TtrpcMethods): void {
  const gone = new AbortController();
  const decoder = new MessageDecoder();
  let open = 0;
  socket.on('error', () => {});
  socket.on('close', () => gone.abort(new SampanError('ServiceUnavailable', 'the client hung up')));
  const answer = (streamId: number, message: Buffer) => {
    if (!socket.destroyed) socket.write(encodeMessage(messageType.response, streamId, message));
  };
  const take = async (message: TtrpcMessage) => {
    open += 1;
    answer(message.streamId, await outcomeOf(message, methods, gone.signal));
    open -= 1;
  };
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of decoder.push(chunk)) {
        if (open >= mostCalls) throw new SampanError('ResourceExhausted', 'too many calls on one connection');
        if (message.type === messageType.request) void take(message);
      }
    } catch {
      socket.destroy();
    }
  });
}

async function outcomeOf(message: TtrpcMessage, methods: TtrpcMethods, gone: AbortSignal): Promise<Buffer> {
  try {
    const { service, method, payload, timeoutNano } = requestMessage.decode(message.payload);
    const handler = methods.get(`${service}/${method}`);
    if (!handler) throw new SampanError('Unsupported', `service ${service} has no method ${method} here`);
    const signal =
      timeoutNano > 0n ? AbortSignal.any([gone, AbortSignal.timeout(Number(timeoutNano / 1_000_000n) + 1)]) : gone;
    const answer = await handler({ payload: Buffer.from(payload), signal });
    if (answer.length > maxMessageBytes - 1024)
      throw new SampanError('RequestEntityTooLarge', `an answer of ${answer.length} bytes`);
    return responseMessage.encode({ payload: answer });
  } catch (error) {
    return responseMessage.encode({ status: statusOf(error) });
  }
}
