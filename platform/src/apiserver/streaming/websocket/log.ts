/** A log over WebSocket: each piece a message, binary or in base64, an empty one first (k8s.io/apimachinery httpstream/wsstream, Reader). */

import { SampanError } from '@sampan/api/errors.ts';
import type { WebSocket } from 'ws';

/** '' is for clients that offer none. */
export const webSocketLogProtocols = ['binary.k8s.io', 'base64.binary.k8s.io', ''] as const;
export type WebSocketLogProtocol = (typeof webSocketLogProtocols)[number];

/** Resolves when all has been sent or the client has left; then hangs up. Throws what `lines` throws. */
export async function serveWebSocketLog(
  socket: WebSocket,
  protocol: WebSocketLogProtocol,
  lines: AsyncIterable<Uint8Array>,
): Promise<void> {
  const isText = protocol.startsWith('base64');
  try {
    await send(socket, '', !isText);
    for await (const chunk of lines) {
      if (socket.readyState !== socket.OPEN) return;
      await send(socket, isText ? Buffer.from(chunk).toString('base64') : chunk, !isText);
    }
    socket.close(1000);
  } catch (error) {
    socket.terminate();
    throw error;
  }
}

function send(socket: WebSocket, data: string | Uint8Array, binary: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(data, { binary }, (error) => {
      if (error) reject(new SampanError('ServiceUnavailable', 'the client is gone', {}, { cause: error }));
      else resolve();
    });
  });
}
