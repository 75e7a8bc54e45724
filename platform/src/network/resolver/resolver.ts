/**
 * The Pods' resolver: a DNS server on the network's gateway address, UDP and TCP.
 *
 * Owns its sockets and the bound on what is under way. Answers names of the cluster domain itself (cluster-names.ts) and passes
 * the rest to the host's resolvers. Keeps no cache: the host's resolvers do. Every packet is a stranger's.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { portHolder } from '../port-holder.ts';
import { answerClusterName, type ClusterNames } from './cluster-names.ts';
import { forward } from './forward.ts';
import { type Query, type Rcode, rcodes, readQuery, withId, writeError, writeReply } from './message.ts';
import { TcpMessages, tcpFrame } from './tcp-messages.ts';
import { HostUpstreams, type Upstream } from './upstreams.ts';

export interface ResolverOptions extends Omit<ClusterNames, 'gateway'> {
  /** Where it listens, and what kubernetes.default.svc is. */
  address: string;
  /** Default 53. */
  port?: number;
  /** Where somebody else has the port, any other is taken, and said: whoever asks is led there by the caller. Default: it fails. */
  elsewhereIfTaken?: boolean;
  log: Logger;
  clock: Clock;
  /** Whom it listens to; nobody else is answered. Default: everybody, for an address that only Pods can reach. */
  serves?(client: string): boolean;
  /** Default: those of /etc/resolv.conf. */
  upstreams?: () => Promise<Upstream[]>;
}

export interface Resolver {
  readonly port: number;
  close(): Promise<void>;
}

const maxUnderWay = 512;
const maxUnderWayPerClient = 64;
const maxTcpConnections = 128;
const maxTcpConnectionsPerClient = 16;
const tcpIdleMs = 10_000;
const maxTcpQueryBytes = 4096;
/** Answers that a TCP client has asked for and does not read. */
const maxUnreadBytes = 256 << 10;
/** A port that is free for UDP may be taken for TCP. */
const elsewhereTries = 8;

/** Throws FailedPrecondition, naming who has the port, when it is taken. */
export async function createResolver(options: ResolverOptions): Promise<Resolver> {
  const server = new DnsServer(options);
  await server.listen();
  return server;
}

class DnsServer implements Resolver {
  readonly #options: ResolverOptions;
  readonly #names: ClusterNames;
  readonly #upstreams: () => Promise<Upstream[]>;
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;
  readonly #stop = new AbortController();
  readonly #underWay = new Counter(maxUnderWay, maxUnderWayPerClient);
  readonly #connections = new Counter(maxTcpConnections, maxTcpConnectionsPerClient);
  readonly #sockets = new Set<Socket>();

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#names = { ...options, clusterDomain: options.clusterDomain.toLowerCase(), gateway: options.address };
    const host = new HostUpstreams(options.clock, [options.address]);
    this.#upstreams = options.upstreams ?? (() => host.get());
  }

  get port(): number {
    return this.#udp!.address().port;
  }

  async listen(): Promise<void> {
    const { address, port = 53, elsewhereIfTaken = false, log } = this.#options;
    try {
      await this.#open(port);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      const holder = isTaken ? ((await portHolder(address, port)) ?? 'another process') : undefined;
      const why = holder ? `${holder} has that address` : messageOf(error);
      if (!isTaken || !elsewhereIfTaken) {
        const message = `the Pods' resolver cannot listen on ${address}:${port}: ${why}${holder ? ' and has to leave it' : ''}`;
        throw new SampanError('FailedPrecondition', message, {}, { cause: error });
      }
      await this.#openElsewhere();
      log.warn({ holder, wanted: `${address}:${port}`, port: this.port }, "the Pods' resolver listens on another port");
    }
  }

  async #openElsewhere(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#open(0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === elsewhereTries) throw error;
      }
    }
  }

  /** Both sockets, or none. */
  async #open(port: number): Promise<void> {
    const { address, log } = this.#options;
    const udp = createSocket('udp4');
    const tcp = createServer((socket) => this.#serveTcp(socket));
    try {
      await listening(udp, () => udp.bind({ address, port }));
      await listening(tcp, () => tcp.listen({ host: address, port: udp.address().port }));
    } catch (error) {
      udp.close();
      tcp.close();
      throw error;
    }
    udp.on('error', (error) => log.warn({ error: messageOf(error) }, 'resolver socket'));
    udp.on('message', (message, from) => void this.#serveUdp(udp, message, from));
    tcp.on('error', (error) => log.warn({ error: messageOf(error) }, 'resolver socket'));
    this.#udp = udp;
    this.#tcp = tcp;
  }

  async #serveUdp(udp: UdpSocket, message: Buffer, from: RemoteInfo): Promise<void> {
    const query = this.#serves(from.address) ? readQuery(message) : undefined;
    if (query === undefined) return;
    let reply = await this.#replyTo(message, query, { client: from.address, overTcp: false });
    const limit = typeof query === 'number' ? 512 : query.maxUdpBytes;
    if (reply.length > limit && typeof query !== 'number') {
      reply = writeReply(query, { rcode: rcodes.noError, truncated: true });
    }
    if (!this.#stop.signal.aborted) udp.send(reply, from.port, from.address, () => {});
  }

  readonly #serves = (client: string): boolean => this.#options.serves?.(client) ?? true;

  #serveTcp(socket: Socket): void {
    const client = socket.remoteAddress ?? '';
    if (!this.#serves(client) || !this.#connections.enter(client)) return void socket.destroy();
    this.#sockets.add(socket);
    const idle = new IdleTimer(this.#options.clock, tcpIdleMs, () => socket.destroy());
    const messages = new TcpMessages((message) => {
      const query = readQuery(message);
      if (query === undefined || message.length > maxTcpQueryBytes) return void socket.destroy();
      void this.#replyTo(message, query, { client, overTcp: true }).then((reply) => {
        if (socket.writableLength > maxUnreadBytes) socket.destroy();
        else if (!socket.destroyed) socket.write(tcpFrame(reply));
      });
    });
    socket.on('data', (chunk) => {
      idle.restart();
      messages.push(chunk);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      idle.stop();
      this.#sockets.delete(socket);
      this.#connections.leave(client);
    });
  }

  /** Never rejects. */
  async #replyTo(bytes: Buffer, query: Query | Rcode, from: { client: string; overTcp: boolean }): Promise<Buffer> {
    if (typeof query === 'number') return writeError(bytes, query);
    const local = answerClusterName(query, this.#names);
    if (local) return writeReply(query, local);
    if (!this.#underWay.enter(from.client)) return writeReply(query, { rcode: rcodes.serverFailure });
    try {
      const upstreams = await this.#upstreams();
      const { clock } = this.#options;
      const reply = await forward(query, { upstreams, overTcp: from.overTcp, clock, signal: this.#stop.signal });
      return withId(reply, query.id);
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'a name could not be resolved');
      return writeReply(query, { rcode: rcodes.serverFailure });
    } finally {
      this.#underWay.leave(from.client);
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    for (const socket of this.#sockets) socket.destroy();
    const [udp, tcp] = [this.#udp, this.#tcp];
    if (tcp) await new Promise<void>((resolve) => tcp.close(() => resolve()));
    if (udp) await new Promise<void>((resolve) => udp.close(() => resolve()));
  }
}

function listening(socket: UdpSocket | Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('listening', () => {
      socket.off('error', reject);
      resolve();
    });
    begin();
  });
}

/** So many in all, and so many for each client. */
class Counter {
  readonly #limit: number;
  readonly #limitPerClient: number;
  readonly #byClient = new Map<string, number>();
  #total = 0;

  constructor(limit: number, limitPerClient: number) {
    this.#limit = limit;
    this.#limitPerClient = limitPerClient;
  }

  enter(client: string): boolean {
    const count = this.#byClient.get(client) ?? 0;
    if (this.#total >= this.#limit || count >= this.#limitPerClient) return false;
    this.#total++;
    this.#byClient.set(client, count + 1);
    return true;
  }

  leave(client: string): void {
    this.#total--;
    const count = (this.#byClient.get(client) ?? 1) - 1;
    if (count > 0) this.#byClient.set(client, count);
    else this.#byClient.delete(client);
  }
}

class IdleTimer {
  readonly #begin: () => void;
  #current = new AbortController();

  constructor(clock: Clock, ms: number, onIdle: () => void) {
    this.#begin = () => {
      this.#current = new AbortController();
      clock.sleep(ms, this.#current.signal).then(onIdle, () => {});
    };
    this.#begin();
  }

  restart(): void {
    this.#current.abort();
    this.#begin();
  }

  stop(): void {
    this.#current.abort();
  }
}
