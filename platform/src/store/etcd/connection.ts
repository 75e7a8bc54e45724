/**
 * The way to etcd's members: one channel an endpoint, calls go to one of them until it fails, then to the next.
 *
 *   call ─▶ current endpoint ready? ─no, within a second─▶ next endpoint ... ─none in 10 s─▶ ServiceUnavailable, nothing sent
 *                    │ yes
 *                    ▼
 *                  sent once; a member that fails it loses its turn
 *
 * Owns: endpoints, TLS, deadlines. Does not own: what is retried (a read may be, a write never by itself).
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { isPassing } from './failures.ts';
import type { RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchRequest, WatchResponse } from './messages.ts';

export interface EtcdAddress {
  /** `https://host:port` (or `http://`), one a member; at least one. */
  endpoints: string[];
  /** PEM files: whom to trust (default: the system's authorities), and who we are. */
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

type Callback = (error: ServiceError | null, answer: unknown) => void;
type Unary = (request: unknown, metadata: Metadata, options: { deadline: number }, done: Callback) => void;

interface Member {
  kv: Client & Record<'Range' | 'Txn' | 'Compact', Unary>;
  watch: Client & { Watch(metadata: Metadata): WatchStream };
}

export type WatchStream = ClientDuplexStream<WatchRequest, WatchResponse>;

const callMs = 10_000;
/** How long one endpoint gets to connect while there are others. */
const turnMs = 1_000;

const channelOptions = {
  // A member that hangs, or a cable that was pulled, is noticed within 15 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
};

/** A member cut off from its cluster must not go on feeding a watch. */
function withLeader(): Metadata {
  const metadata = new Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}

export class EtcdConnection {
  readonly #members: Member[];
  readonly #clock: Clock;
  #current = 0;

  /** Throws BadRequest for an endpoint it cannot read, and what reading the PEM files throws. */
  constructor(address: EtcdAddress, clock: Clock) {
    this.#clock = clock;
    const path = fileURLToPath(new URL('./etcd.proto', import.meta.url));
    const definition = loadSync(path, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: false });
    const services = loadPackageDefinition(definition).etcdserverpb as Record<string, ServiceClientConstructor>;
    this.#members = address.endpoints.map((endpoint) => {
      const { target, secure } = parseEndpoint(endpoint);
      const identity = secure ? tls(address) : credentials.createInsecure();
      const open = (name: string) => new services[name]!(target, identity, channelOptions) as unknown;
      return { kv: open('KV') as Member['kv'], watch: open('Watch') as Member['watch'] };
    });
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#read('Range', request) as Promise<RangeResponse>;
  }

  /** Sent at most once. */
  txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#send('Txn', request, this.#deadline()) as Promise<TxnResponse>;
  }

  async compact(revision: number): Promise<void> {
    await this.#read('Compact', { revision });
  }

  /** A stream on the member whose turn it is; when it fails, the next call may get another one. */
  async watch(): Promise<WatchStream> {
    const member = await this.#ready('watch', this.#deadline());
    const stream = member.watch.Watch(withLeader());
    stream.once('error', () => this.#passTurn(member));
    return stream;
  }

  close(): void {
    for (const { kv, watch } of this.#members) {
      kv.close();
      watch.close();
    }
  }

  #deadline(): number {
    return this.#clock.now() + callMs;
  }

  /** Tried again until the deadline: reading twice does no harm, nor does compacting. */
  async #read(method: 'Range' | 'Compact', request: unknown): Promise<unknown> {
    const deadline = this.#deadline();
    for (;;) {
      try {
        return await this.#send(method, request, deadline);
      } catch (error) {
        if (!isPassing(error) || this.#clock.now() + 100 >= deadline) throw error;
        await this.#clock.sleep(100);
      }
    }
  }

  async #send(method: 'Range' | 'Txn' | 'Compact', request: unknown, deadline: number): Promise<unknown> {
    const member = await this.#ready('kv', deadline);
    return new Promise((resolve, reject) => {
      member.kv[method](request, new Metadata(), { deadline }, (error, answer) => {
        if (!error) return resolve(answer);
        if (isPassing(error)) this.#passTurn(member);
        reject(error);
      });
    });
  }

  #passTurn(member: Member): void {
    if (this.#members[this.#current] === member) this.#current = (this.#current + 1) % this.#members.length;
  }

  /** A member that is connected. Throws ServiceUnavailable when there is none before `deadline`: then nothing was sent. */
  async #ready(service: keyof Member, deadline: number): Promise<Member> {
    for (;;) {
      const member = this.#members[this.#current] as Member;
      const client: Client = member[service];
      if (client.getChannel().getConnectivityState(true) === connectivityState.READY) return member;
      const until = this.#members.length > 1 ? Math.min(this.#clock.now() + turnMs, deadline) : deadline;
      const failure = await new Promise<Error | undefined>((resolve) => client.waitForReady(until, resolve));
      if (!failure) return member;
      this.#passTurn(member);
      if (this.#clock.now() >= deadline)
        throw new SampanError('ServiceUnavailable', 'no member of the etcd cluster can be reached');
    }
  }
}

function parseEndpoint(endpoint: string): { target: string; secure: boolean } {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || !url.host || url.pathname !== '/')
    throw new SampanError('BadRequest', `etcd endpoint "${endpoint}" is not of the form https://host:port`);
  return { target: `${url.hostname}:${url.port || 2379}`, secure: url.protocol === 'https:' };
}

function tls({ caFile, certFile, keyFile }: EtcdAddress): ChannelCredentials {
  const read = (file: string | undefined) => (file ? readFileSync(file) : null);
  return credentials.createSsl(read(caFile), read(keyFile), read(certFile));
}
