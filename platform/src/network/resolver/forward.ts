/** Passes one query to the host's resolvers, one after the other, and returns the first answer worth having. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { answers, isTruncated, type Query, rcodeOf, rcodes, withId } from './message.ts';
import { TcpMessages, tcpFrame } from './tcp-messages.ts';
import type { Upstream } from './upstreams.ts';

export interface ForwardOptions {
  upstreams: Upstream[];
  /** The asker came by TCP, so a truncated answer is fetched again by TCP. */
  overTcp: boolean;
  clock: Clock;
  signal: AbortSignal;
}

/** glibc waits 5 s before it asks again: two rounds of this over the usual two resolvers end before that. */
const attemptTimeoutMs = 1200;
const rounds = 2;

/** Throws ServiceUnavailable when no resolver answered. A resolver's refusal is returned when nobody says better. */
export async function forward(query: Query, options: ForwardOptions): Promise<Buffer> {
  let refusal: Buffer | undefined;
  for (let attempt = 0; attempt < rounds * options.upstreams.length; attempt++) {
    const upstream = options.upstreams[attempt % options.upstreams.length]!;
    const reply = await askOnce(query, upstream, options);
    options.signal.throwIfAborted();
    if (!reply) continue;
    if (rcodeOf(reply) !== rcodes.serverFailure && rcodeOf(reply) !== rcodes.refused) return reply;
    refusal = reply;
    if (attempt >= options.upstreams.length - 1) break;
  }
  if (refusal) return refusal;
  throw new SampanError('ServiceUnavailable', `none of the host's ${options.upstreams.length} resolvers answered`);
}

async function askOnce(query: Query, upstream: Upstream, options: ForwardOptions): Promise<Buffer | undefined> {
  const reply = await within(options, (signal) => askUdp(query, upstream, signal));
  if (!reply || !options.overTcp || !isTruncated(reply)) return reply;
  return (await within(options, (signal) => askTcp(query, upstream, signal))) ?? reply;
}

/** undefined when it failed or took too long; the next resolver is asked then. */
async function within<T>(options: ForwardOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const timer = new AbortController();
  const signal = AbortSignal.any([timer.signal, options.signal]);
  options.clock.sleep(attemptTimeoutMs, signal).then(
    () => timer.abort(),
    () => {},
  );
  try {
    return await work(signal);
  } catch {
    return undefined;
  } finally {
    timer.abort();
  }
}

/** A socket of its own per query, connected: random port, random id, and the kernel drops what others send. */
function askUdp(query: Query, upstream: Upstream, signal: AbortSignal): Promise<Buffer> {
  const id = randomInt(0x10000);
  const socket = createSocket(isIPv6(upstream.address) ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  socket.on('error', reject);
  socket.on('message', (message) => {
    if (answers(message, id, query)) resolve(withId(message, query.id));
  });
  socket.connect(upstream.port, upstream.address, () => {
    if (!signal.aborted) socket.send(withId(query.bytes, id));
  });
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    socket.close();
  });
}

function askTcp(query: Query, upstream: Upstream, signal: AbortSignal): Promise<Buffer> {
  const id = randomInt(0x10000);
  const socket = connect({ host: upstream.address, port: upstream.port });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  const messages = new TcpMessages((message) => {
    if (answers(message, id, query)) resolve(withId(message, query.id));
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new SampanError('ServiceUnavailable', 'the resolver hung up')));
  socket.on('data', (chunk) => messages.push(chunk));
  socket.write(tcpFrame(withId(query.bytes, id)));
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  });
}
