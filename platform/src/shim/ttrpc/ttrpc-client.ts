/** One ttrpc call on a connection of its own: how events are told to containerd. */
import { Socket } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import { encodeMessage, MessageDecoder, messageType, requestMessage, responseMessage } from './ttrpc-frames.ts';

export interface TtrpcRequest {
  socketPath: string;
  service: string;
  method: string;
  namespace: string;
  payload: Buffer;
  timeoutMs: number;
}

/** Throws ServiceUnavailable when nobody answers in time, InternalError with the server's words when it refuses. */
export function callTtrpc(request: TtrpcRequest): Promise<Buffer> {
  const { socketPath, service, method, namespace, payload, timeoutMs } = request;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = new Socket({ signal: AbortSignal.timeout(timeoutMs) });
  socket.connect(socketPath);
  const decoder = new MessageDecoder();
  const unavailable = (why: string) => reject(new SampanError('ServiceUnavailable', `ttrpc to ${socketPath}: ${why}`));
  socket.on('error', (error) => unavailable(error.message));
  socket.on('close', () => unavailable('it hung up'));
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const { type, payload: body } of decoder.push(chunk)) {
        if (type !== messageType.response) continue;
        const { status, payload: answer } = responseMessage.decode(body);
        if (status?.code) reject(new SampanError('InternalError', `${service}/${method}: ${status.message}`));
        resolve(Buffer.from(answer));
        socket.destroy();
      }
    } catch (error) {
      socket.destroy(error as Error);
    }
  });
  const metadata = [{ key: 'containerd-namespace-ttrpc', value: namespace }];
  const timeoutNano = BigInt(timeoutMs) * 1_000_000n;
  const body = requestMessage.encode({ service, method, payload, timeoutNano, metadata });
  socket.write(encodeMessage(messageType.request, 1, body));
  return promise;
}
