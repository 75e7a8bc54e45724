/**
 * Port-forward over SPDY: for each connection the client opens two streams with the same request id, one for data and one for an
 * error. The connection carries any number of them, over a bare socket or inside a WebSocket.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { NodeGateway, PodKey } from '../../node/gateway.ts';
import { readPort } from './options.ts';
import { forwardFailure, joinConnection } from './port-forward.ts';
import { SpdyConnection, type SpdyConnectionOptions } from './spdy/connection.ts';
import { resetCodes } from './spdy/frames.ts';
import type { SpdyStream } from './spdy/stream.ts';

export const spdyPortForwardProtocols = ['portforward.k8s.io'] as const;

/** kubelet's DefaultStreamCreationTimeout. */
const pairTimeoutMs = 30_000;

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
}

export interface SpdyPortForwardOptions {
  connection: Omit<SpdyConnectionOptions, 'onStream'>;
  pod: PodKey;
  gateway: NodeGateway;
}

/** Resolves when the client has hung up. Never rejects. */
export async function serveSpdyPortForward(options: SpdyPortForwardOptions): Promise<void> {
  const { clock } = options.connection;
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection({ ...options.connection, onStream });

  /** Throwing refuses the stream. */
  function onStream(stream: SpdyStream): void {
    const type = stream.headers.get('streamtype');
    if (type !== 'data' && type !== 'error')
      throw new SampanError('BadRequest', `streamType is "${type}"; wanted data or error`);
    readPort(stream.headers.get('port') ?? '');
    // Clients before request ids existed open the error stream first and the data stream right behind it.
    const id = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    const pair = pairs.get(id) ?? {};
    if (pair[type]) throw new SampanError('BadRequest', `request ${id} has two ${type} streams`);
    pair[type] = stream;
    pairs.set(id, pair);
    if (!pair.data || !pair.error) return void expire(id, pair);
    pairs.delete(id);
    void servePair(options, { data: pair.data, error: pair.error });
  }

  async function expire(id: string, pair: Pair): Promise<void> {
    await clock.sleep(pairTimeoutMs, connection.closed).catch(() => {});
    if (pairs.get(id) !== pair) return;
    pairs.delete(id);
    (pair.data ?? pair.error)?.reset(resetCodes.cancel);
  }

  await new Promise<void>((resolve) => {
    if (connection.closed.aborted) resolve();
    connection.closed.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function servePair(
  { pod, gateway, connection }: SpdyPortForwardOptions,
  { data, error }: Required<Pair>,
): Promise<void> {
  const port = readPort(data.headers.get('port') ?? '');
  error.discard();
  try {
    await joinConnection(data, () => gateway.portForward(pod, port), data.broken);
    await error.writable.close().catch(() => {});
  } catch (failure) {
    if (data.broken.aborted) return;
    connection.log.debug({ pod: pod.name, port, error: messageOf(failure) }, 'port-forward failed');
    await report(error, forwardFailure(port, pod, failure));
  }
  // The Pod's end has closed. What the client still sends has nowhere to go.
  data.discard();
  if (!data.writable.locked) await data.writable.close().catch(() => {});
}

async function report(stream: SpdyStream, message: string): Promise<void> {
  try {
    const writer = stream.writable.getWriter();
    await writer.write(Buffer.from(message));
    await writer.close();
  } catch {
    // The client is gone or has reset the stream: nobody wants to know.
  }
}
