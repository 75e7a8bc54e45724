/** Answers a WebSocket upgrade with a subprotocol of our choice; kubectl's names hold a "/", which RFC 6455 and `ws` forbid. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import { type WebSocket, WebSocketServer } from 'ws';
import { offeredIn } from '../upgrade.ts';

/** Some clients put the whole of stdin into one message. */
const maxMessageBytes = 8 << 20;

export const offeredSubprotocols = (request: IncomingMessage): string[] =>
  offeredIn(request.headers['sec-websocket-protocol']);

/** '': the client offered none and gets none. Throws BadRequest when the request is no proper handshake; nothing was answered then. */
export function acceptWebSocket(
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  protocol: string,
): Promise<WebSocket> {
  const { request, socket, head } = upgrade;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    handleProtocols: () => protocol,
  });
  // What was offered has been read; `ws` sees a name that it can parse.
  if (protocol) request.headers['sec-websocket-protocol'] = 'chosen';
  else delete request.headers['sec-websocket-protocol'];
  return new Promise((resolve, reject) => {
    server.once('wsClientError', (error) =>
      reject(new SampanError('BadRequest', `unable to upgrade: ${error.message}`)),
    );
    server.handleUpgrade(request, socket, head, resolve);
  });
}
