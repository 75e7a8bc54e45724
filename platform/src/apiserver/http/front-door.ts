/**
 * HTTPS in front of the API: listeners, limits, authentication, and which part answers a path.
 * Owns connections and their bounds. HTTP/1.1 only: exec, attach and port-forward need its Upgrade.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import { type Authenticator, unauthorized } from '../auth/authenticator.ts';
import { type Authorizer, demand, openPaths } from '../auth/authorizer.ts';
import { impersonated } from '../auth/impersonation.ts';
import { anonymous } from '../auth/user.ts';
import { badRequest, unknownPath } from '../meta/failures.ts';
import { toStatus } from '../meta/status.ts';
import type { Pki } from '../pki/pki.ts';
import { type Exchange, sendStatus } from './exchange.ts';
import { handleNodeProxy, isNodeProxy } from './node-proxy.ts';
import { handlePodProxy, isPodProxy } from './pod-proxy.ts';
import { type ResourceRequest, resourceRequestOf } from './request-info.ts';
import { handleResource, type ResourceParts } from './resource-handler.ts';
import { handleStreaming, isStreaming, type StreamingParts } from './streaming-handler.ts';
import { WatchSlots } from './watch-slots.ts';

/** Answers paths that are no resources; undefined: not mine. */
export type PathHandler = (exchange: Exchange) => Promise<void> | undefined;

export interface FrontDoorOptions extends ResourceParts, StreamingParts {
  pki: Pki;
  log: Logger;
  authenticator: Authenticator;
  authorizer: Authorizer;
  /** Discovery, health, version, OpenAPI. */
  paths: PathHandler;
  /** Absent: nothing is written down. */
  audit?: AuditTrail;
  /** Open at a time; default: see watch-slots.ts. */
  maxWatches?: number;
}

/** As kube-apiserver's two in-flight limits together; watches and streams do not count. */
const maxInFlight = 600;
/** More are closed as they come: each costs memory before anybody knows whose it is. */
const maxConnections = 16_384;
const headersTimeoutMs = 20_000;
/** Longer than client-go's own 90 s, so that the client closes first and never writes into a closing connection. */
const keepAliveTimeoutMs = 120_000;

export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #servers: Server[] = [];
  readonly #upgraded = new Set<Duplex>();
  readonly #watches: WatchSlots;
  #inFlight = 0;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#watches = new WatchSlots(options.maxWatches);
  }

  /** Listens on all of them; where a port is 0, on the port the first one got. */
  async listen(addresses: { host: string; port: number }[]): Promise<{ port: number }> {
    const { certificate, key } = await this.#options.pki.serving();
    let chosen = 0;
    for (const { host, port } of addresses) {
      const server = createServer({
        cert: certificate,
        key,
        ca: this.#options.pki.clientCaCertificate,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['http/1.1'],
        // Bodies are timed where they are read: a node's image import may take long.
        requestTimeout: 0,
        headersTimeout: headersTimeoutMs,
        handshakeTimeout: headersTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
        connectionsCheckingInterval: 5_000,
      });
      server.maxConnections = maxConnections;
      server.on('request', (request, response) => void this.#serve(request, response));
      server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
      server.on('tlsClientError', (error) => this.#options.log.debug({ error: error.message }, 'TLS handshake failed'));
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port || chosen, host, resolve);
      }).catch((error: Error) => {
        throw new SampanError('FailedPrecondition', `cannot listen on ${host}:${port}: ${error.message}`);
      });
      server.on('error', (error) => this.#options.log.error({ error: error.message }, 'API listener failed'));
      this.#servers.push(server);
      chosen ||= (server.address() as AddressInfo).port;
    }
    return { port: chosen };
  }

  /** Serves new connections with the certificate as it is now. */
  async renewCertificate(): Promise<void> {
    const { certificate, key } = await this.#options.pki.serving();
    const ca = this.#options.pki.clientCaCertificate;
    for (const server of this.#servers) server.setSecureContext({ cert: certificate, key, ca });
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#upgraded) socket.destroy();
    for (const server of this.#servers) server.closeAllConnections();
    await Promise.all(closed);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = exchangeOf(request, response);
    this.#options.audit?.follow(exchange, response);
    // A client that leaves is no failure of ours.
    response.on('error', () => {});
    try {
      await this.#answer(exchange);
    } catch (error) {
      await this.#fail(exchange, error);
    }
  }

  async #fail(exchange: Exchange, error: unknown): Promise<void> {
    const { request, response, path } = exchange;
    const status = toStatus(error);
    exchange.failure = status;
    if (response.destroyed || request.socket.destroyed) return;
    const fields = { method: request.method, path, code: status.code, error: status.message };
    if (status.code >= 500) this.#options.log.error({ ...fields, stack: (error as Error).stack }, 'request failed');
    else this.#options.log.debug(fields, 'request refused');
    if (response.headersSent) response.destroy();
    else await sendStatus(exchange, status, this.#options.context.clock).catch(() => response.destroy());
  }

  async #answer(exchange: Exchange): Promise<void> {
    await this.#identify(exchange);
    const { request, path, query, user, response } = exchange;
    const info = resourceRequestOf(request.method ?? 'GET', path, query);
    if (!info) {
      if (!openPaths.some((open) => path === open || path.startsWith(`${open}/`))) {
        await demand(this.#options.authorizer, { user, verb: (request.method ?? 'GET').toLowerCase(), path });
      }
      const handled = this.#options.paths(exchange);
      if (!handled) throw unknownPath();
      return handled;
    }
    if (isStreaming(info)) return handleStreaming(this.#options, exchange, info);
    if (isNodeProxy(info)) return handleNodeProxy(this.#options, exchange, info);
    if (isPodProxy(info)) return handlePodProxy(this.#options, exchange, info);
    if (info.verb === 'watch') return this.#watch(exchange, info);
    if (this.#inFlight >= maxInFlight) throw tooMany();
    this.#inFlight += 1;
    try {
      await handleResource(this.#options, exchange, info);
    } finally {
      this.#inFlight -= 1;
      // Whoever refused early has not read the body: let go of it.
      if (!request.complete && !response.destroyed) request.resume();
    }
  }

  async #watch(exchange: Exchange, info: ResourceRequest): Promise<void> {
    const release = this.#watches.take(exchange.user);
    try {
      await handleResource(this.#options, exchange, info);
    } finally {
      release();
    }
  }

  /** Throws Unauthorized for bad credentials, and for none where they are needed. */
  async #identify(exchange: Exchange): Promise<void> {
    const open = openPaths.some((path) => exchange.path === path || exchange.path.startsWith(`${path}/`));
    if (open) return;
    const { authenticator, authorizer } = this.#options;
    const sender = await authenticator.authenticate(exchange.request);
    if (sender === anonymous) throw unauthorized();
    exchange.sender = sender;
    exchange.user = sender;
    exchange.user = await impersonated(authorizer, sender, exchange.request.headersDistinct);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => {});
    this.#upgraded.add(socket);
    socket.on('close', () => this.#upgraded.delete(socket));
    const response = new ServerResponse(request);
    const exchange = exchangeOf(request, response);
    this.#options.audit?.follow(exchange, socket, true);
    try {
      await this.#identify(exchange);
      const info = resourceRequestOf(request.method ?? 'GET', exchange.path, exchange.query);
      if (!info || !isStreaming(info)) throw badRequest(`${exchange.path} cannot be upgraded`);
      await handleStreaming(this.#options, exchange, info, { socket, head });
    } catch (error) {
      await this.#refuseUpgrade(exchange, socket, error).catch(() => socket.destroy());
    }
  }

  /** Node leaves the socket of an upgrade to us: the refusal is put on it as an ordinary answer. */
  async #refuseUpgrade(exchange: Exchange, socket: Duplex, error: unknown): Promise<void> {
    const { response } = exchange;
    if (socket.destroyed) return;
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    response.on('finish', () => socket.end());
    await this.#fail(exchange, error);
  }
}

function exchangeOf(request: IncomingMessage, response: ServerResponse): Exchange {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  return { request, response, path, query, user: anonymous, warnings: new Set(), notes: new Map() };
}

function tooMany(): SampanError {
  return new SampanError('TooManyRequests', 'Too many requests, please try again later.', { retryAfterSeconds: 1 });
}
