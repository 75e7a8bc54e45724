/** What protocol a client wants to speak after its upgrade request, and the answer that begins SPDY. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';

export type UpgradeKind = 'websocket' | 'spdy';

/** Throws BadRequest when the client asks for neither. */
export function upgradeKind(request: IncomingMessage): UpgradeKind {
  const upgrade = (request.headers.upgrade ?? '').toLowerCase();
  if (upgrade === 'websocket') return 'websocket';
  if (upgrade === 'spdy/3.1') return 'spdy';
  throw new SampanError('BadRequest', `cannot upgrade to "${upgrade}"; wanted websocket or SPDY/3.1`);
}

/** Names in a header that may come several times and hold several, in the client's order of preference. */
export function offeredIn(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

/** The first offer that is supported. Throws Forbidden with both lists, as Kubernetes does. */
export function chooseProtocol<Name extends string>(offered: string[], supported: readonly Name[]): Name {
  const chosen = offered.find((name): name is Name => supported.includes(name as Name));
  if (chosen !== undefined) return chosen;
  throw new SampanError(
    'Forbidden',
    `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${supported.join(' ')}]`,
  );
}

const streamProtocolHeader = 'X-Stream-Protocol-Version';

export const offeredStreamProtocols = (request: IncomingMessage): string[] =>
  offeredIn(request.headers[streamProtocolHeader.toLowerCase()]);

/** Answers 101; the socket speaks SPDY/3.1 from then on. */
export function beginSpdy(socket: Duplex, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${streamProtocolHeader}: ${protocol}\r\n\r\n`,
  );
}
