/**
 * CRI v1 over gRPC on a unix socket, for kubelets and crictl: the very Runtime that a node in process calls.
 *
 * Owns: the socket, what goes over it, and the streaming server behind exec, attach and port-forward. Does not own the runtime: closing the server
 * leaves it, and its Pods, as they are.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { grpcStatus } from './grpc-status.ts';
import { imageCalls, imageStreams, runtimeCalls, runtimeStreams, unserved } from './handlers.ts';
import { loadCriServices } from './messages.ts';
import { createStreamingServer } from './streaming/streaming-server.ts';

export interface CriServerOptions {
  runtime: Runtime;
  /** Path of the unix socket; what a server before us left there is replaced. */
  socketPath: string;
  log: Logger;
  clock: Clock;
}

export interface CriServer {
  readonly socketPath: string;
  /** Ends every connection. */
  close(): Promise<void>;
}

type Answer = (request: unknown) => Promise<unknown>;
type Answers = (request: unknown) => AsyncIterable<unknown>;

/** kubelet's own bound on messages. */
const maxMessageBytes = 16 * 1024 * 1024;

/** Throws FailedPrecondition when somebody serves at that path already. */
export async function startCriServer(options: CriServerOptions): Promise<CriServer> {
  const { runtime, socketPath, log, clock } = options;
  const streaming = await createStreamingServer({ runtime, log: log.child({ part: 'streaming' }), clock });
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
  });
  const services = loadCriServices();
  const serve = (definition: ServiceDefinition, calls: object, streams: object) =>
    server.addService(
      definition,
      implement(definition, calls as Record<string, Answer>, streams as Record<string, Answers>, log),
    );
  serve(services.runtime, runtimeCalls(runtime, streaming.urls), runtimeStreams(runtime));
  serve(services.image, imageCalls(runtime), imageStreams(runtime));
  try {
    await listen(server, socketPath);
  } catch (error) {
    await streaming.close();
    throw error;
  }
  return {
    socketPath,
    close: async () => {
      server.forceShutdown();
      await streaming.close();
      await rm(socketPath, { force: true });
    },
  };
}

/** Every method of the service: served, or refused by name. */
function implement(
  definition: ServiceDefinition,
  calls: Record<string, Answer>,
  streams: Record<string, Answers>,
  log: Logger,
): UntypedServiceImplementation {
  const methods = Object.entries(definition).map(([method, { responseStream }]) => {
    const name = method.charAt(0).toLowerCase() + method.slice(1);
    const refuse = () => {
      const why = unserved[name];
      throw new SampanError('Unsupported', `${method} is not served${why ? `: ${why}` : ''}`);
    };
    const handler = responseStream
      ? streamHandler(method, streams[name] ?? refuse, log)
      : unaryHandler(method, calls[name] ?? (async () => refuse()), log);
    return [method, handler] as const;
  });
  return Object.fromEntries(methods);
}

function unaryHandler(method: string, answer: Answer, log: Logger): handleUnaryCall<unknown, unknown> {
  return (call, done) => {
    answer(call.request).then(
      (value) => done(null, value),
      (error) => {
        const status = grpcStatus(error);
        log.debug({ method, ...status }, 'a call failed');
        done(status);
      },
    );
  };
}

function streamHandler(method: string, answers: Answers, log: Logger): handleServerStreamingCall<unknown, unknown> {
  return async (call) => {
    try {
      await sendAll(call, answers(call.request));
      call.end();
    } catch (error) {
      const status = grpcStatus(error);
      log.debug({ method, ...status }, 'a stream failed');
      call.emit('error', status);
    }
  };
}

/** No faster than the client reads; ends when the client has gone. */
async function sendAll(call: ServerWritableStream<unknown, unknown>, messages: AsyncIterable<unknown>): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const gone = new Promise<'gone'>((resolve) => call.once('cancelled', () => resolve('gone')));
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), gone]);
      if (next === 'gone' || next.done) return;
      if (call.write(next.value)) continue;
      const drained = new Promise<void>((resolve) => call.once('drain', resolve));
      if ((await Promise.race([drained, gone])) === 'gone') return;
    }
  } finally {
    // Not awaited: an iterator that waits for its next value would only end with it.
    void iterator.return?.()?.catch?.(() => {});
  }
}

async function listen(server: Server, socketPath: string): Promise<void> {
  if (Buffer.byteLength(socketPath) > 107)
    throw new SampanError('Invalid', `${socketPath} is too long for a unix socket: at most 107 bytes`);
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o711 });
  if (await isServed(socketPath))
    throw new SampanError('FailedPrecondition', `${socketPath} is served by another process already`);
  await rm(socketPath, { force: true });
  // The socket gives root's powers to whoever can open it: it is never open to others, not even for a moment.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  } finally {
    process.umask(before);
  }
  await chmod(socketPath, 0o600);
}

function isServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
