/**
 * The HTTP server behind Exec, Attach and PortForward, on a loopback port of its own. A URL is good for one connection, by WebSocket or SPDY/3.1,
 * within a minute; the request is the one that was checked when the URL was given, whatever the client's query says now.
 */
import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { handleStreamingUpgrade } from '../../apiserver/streaming/streaming.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StreamingUrls, type StreamRequest } from './streaming-urls.ts';
import { Tokens } from './tokens.ts';

export interface StreamingServerOptions {
  runtime: Runtime;
  log: Logger;
  clock: Clock;
}

export interface StreamingServer {
  readonly urls: StreamingUrls;
  close(): Promise<void>;
}

export async function createStreamingServer(options: StreamingServerOptions): Promise<StreamingServer> {
  const { runtime, log, clock } = options;
  const tokens = new Tokens<StreamRequest>(clock);
  const sockets = new Set<Duplex>();
  const server = createServer((_, response) => {
    response.writeHead(400, { 'content-type': 'text/plain' }).end('an upgrade to websocket or SPDY/3.1 is wanted\n');
  });
  server.on('upgrade', (request, socket, head) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', (error) => log.debug({ error: messageOf(error) }, 'a streaming client is gone'));
    serve({ options, tokens, request, socket, head }).catch((error) => refuse(socket, error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    urls: new StreamingUrls(runtime, tokens, `http://127.0.0.1:${port}`),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Upgrade {
  options: StreamingServerOptions;
  tokens: Tokens<StreamRequest>;
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Throws while nothing was answered. */
async function serve({ options, tokens, request, socket, head }: Upgrade): Promise<void> {
  const [, kind, token = ''] = /^\/(exec|attach|portforward)\/([\w-]{43})(?:\?|$)/.exec(request.url ?? '') ?? [];
  const stream = tokens.take(token);
  if (!stream || stream.kind !== kind)
    throw new SampanError('NotFound', 'this URL was used already, or is more than a minute old');
  const { runtime, log, clock } = options;
  await handleStreamingUpgrade({
    kind: stream.kind,
    pod: { namespace: '', name: targetOf(stream), uid: '' },
    container: '',
    query: queryOf(stream, request),
    request,
    socket,
    head,
    gateway: gatewayTo(runtime, stream),
    log,
    clock,
  });
}

const targetOf = ({ kind, request }: StreamRequest): string =>
  (kind === 'portforward' ? request.podSandboxId : request.containerId) ?? '';

/** The options as the API server's streaming reads them. Ports without SPDY are the client's to say where CRI's request leaves them open. */
function queryOf({ kind, request }: StreamRequest, { url }: IncomingMessage): URLSearchParams {
  const query = new URLSearchParams();
  if (kind === 'portforward') {
    const ports = request.port?.length ? request.port.map(String) : portsOf(url);
    for (const port of ports) query.append('ports', port);
    return query;
  }
  for (const name of ['stdin', 'stdout', 'stderr', 'tty'] as const) if (request[name]) query.set(name, 'true');
  if (kind === 'exec') for (const word of request.cmd ?? []) query.append('command', word);
  return query;
}

function portsOf(url = ''): string[] {
  const query = new URL(url, 'http://x').searchParams;
  return [...query.getAll('ports'), ...query.getAll('port')];
}

function gatewayTo(runtime: Runtime, stream: StreamRequest): NodeGateway {
  const elsewhere = () => Promise.reject(new SampanError('MethodNotAllowed', `this URL is for ${stream.kind}`));
  return {
    logs: elsewhere,
    statsSummary: elsewhere,
    exec: () => (stream.kind === 'exec' ? runtime.exec(stream.request) : elsewhere()),
    attach: () => (stream.kind === 'attach' ? runtime.attach(stream.request) : elsewhere()),
    portForward: async (_, port) => {
      if (stream.kind !== 'portforward') return elsewhere();
      const { podSandboxId = '', port: allowed = [] } = stream.request;
      if (allowed.length > 0 && !allowed.includes(port))
        throw new SampanError('Forbidden', `port ${port} was not asked for`);
      return runtime.portForward(podSandboxId, port);
    },
  };
}

function refuse(socket: Duplex, error: unknown): void {
  const status = error instanceof SampanError ? error.httpStatus : 500;
  const body = `${messageOf(error)}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
