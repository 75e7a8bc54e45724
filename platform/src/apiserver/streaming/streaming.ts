/**
 * The streaming half of the API server: exec, attach, port-forward and log, for a call that is already authorised.
 *
 * Owns a client's connection from its upgrade on, and the session in the Pod as long as that lasts. Does not own who may call, or
 * which Pod and container are meant. Speaks WebSocket (v5 and v4 channel protocols, their elders, SPDY tunnels) and SPDY/3.1.
 */
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { createWebSocketStream } from 'ws';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { NodeGateway, PodKey } from '../../node/gateway.ts';
import type { StreamSession } from '../../runtime/runtime.ts';
import type { StreamingHook } from '../streaming-hook.ts';
import { type CommandChannels, serveCommand } from './command.ts';
import { handleLog } from './log.ts';
import { readAttachOptions, readExecOptions, readLogOptions, readPorts } from './options.ts';
import { openSpdyCommand, spdyCommandProtocols } from './spdy-command.ts';
import { serveSpdyPortForward, spdyPortForwardProtocols } from './spdy-port-forward.ts';
import { beginSpdy, chooseProtocol, offeredStreamProtocols, upgradeKind } from './upgrade.ts';
import { acceptWebSocket, offeredSubprotocols } from './websocket/accept.ts';
import { openWebSocketCommand, webSocketCommandProtocols } from './websocket/command.ts';
import { serveWebSocketLog, webSocketLogProtocols } from './websocket/log.ts';
import {
  serveWebSocketPortForward,
  spdyTunnelProtocol,
  webSocketPortForwardProtocols,
} from './websocket/port-forward.ts';

export interface StreamingUpgrade {
  kind: 'exec' | 'attach' | 'portforward' | 'log';
  pod: PodKey;
  /** Default: that of the query; '' for portforward. */
  container?: string;
  /** PodExecOptions, PodAttachOptions, PodPortForwardOptions or PodLogOptions as the client put them. */
  query: URLSearchParams;
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
  gateway: NodeGateway;
  log: Logger;
  clock?: Clock;
}

type Call = StreamingUpgrade & { clock: Clock };

export function createStreamingHook({ log, clock = systemClock }: { log: Logger; clock?: Clock }): StreamingHook {
  return {
    log: ({ pod, container, query, gateway }, response) =>
      handleLog({ pod, container, query, response, gateway, log, clock }),
    upgrade: ({ call, pod, container, query, request, gateway }, socket, head) =>
      handleStreamingUpgrade({ kind: call, pod, container, query, request, socket, head, gateway, log, clock }),
  };
}

/**
 * Answers the upgrade and serves the connection to its end. Throws BadRequest or Forbidden while nothing was answered yet, so that
 * the caller can answer with a Status; never after that: a failure then goes to the client over its error stream.
 */
export async function handleStreamingUpgrade(upgrade: StreamingUpgrade): Promise<void> {
  const call: Call = { ...upgrade, clock: upgrade.clock ?? systemClock };
  const { socket } = call;
  if (socket instanceof Socket) socket.setKeepAlive(true, 30_000).setNoDelay(true);
  const kind = upgradeKind(call.request);
  if (call.kind === 'log') {
    if (kind === 'spdy') throw new SampanError('BadRequest', 'a log is sent over WebSocket or without an upgrade');
    return webSocketLog(call);
  }
  if (call.kind !== 'portforward') await (kind === 'spdy' ? spdyCommand(call) : webSocketCommand(call));
  else await (kind === 'spdy' ? spdyPortForward(call) : webSocketPortForward(call));
}

/** The options, and how to start what they ask for. */
function commandOf({ kind, pod, container, query, gateway }: Call) {
  const name = container ?? query.get('container') ?? '';
  if (kind === 'attach') {
    const options = readAttachOptions(query, name);
    return { options, start: (): Promise<StreamSession> => gateway.attach(pod, options) };
  }
  const options = readExecOptions(query, name);
  return { options, start: (): Promise<StreamSession> => gateway.exec(pod, options) };
}

async function webSocketCommand(call: Call): Promise<void> {
  const { options, start } = commandOf(call);
  const protocol = chooseSubprotocol(call, webSocketCommandProtocols);
  const socket = await acceptWebSocket(call, protocol);
  await serve(call, openWebSocketCommand({ socket, protocol, options, clock: call.clock }), start);
}

async function spdyCommand(call: Call): Promise<void> {
  const { options, start } = commandOf(call);
  const offered = offeredStreamProtocols(call.request);
  const protocol = offered.length > 0 ? chooseProtocol(offered, spdyCommandProtocols) : 'channel.k8s.io';
  beginSpdy(call.socket, protocol);
  try {
    await serve(call, await openSpdyCommand(connectionOf(call, call.socket), protocol, options), start);
  } catch (error) {
    call.log.debug({ pod: call.pod.name, error: messageOf(error) }, `${call.kind} did not begin`);
  }
}

function serve(call: Call, channels: CommandChannels, start: () => Promise<StreamSession>): Promise<void> {
  const kind = call.kind === 'attach' ? 'attach' : 'exec';
  return serveCommand({ channels, start, kind, log: call.log });
}

async function webSocketPortForward(call: Call): Promise<void> {
  const { pod, gateway, log, clock } = call;
  const protocol = chooseSubprotocol(call, webSocketPortForwardProtocols);
  if (protocol !== spdyTunnelProtocol) {
    const ports = readPorts(call.query);
    const socket = await acceptWebSocket(call, protocol);
    return serveWebSocketPortForward({ socket, protocol, ports, pod, gateway, log, clock });
  }
  const tunnel = createWebSocketStream(await acceptWebSocket(call, protocol));
  await serveSpdyPortForward({ connection: { duplex: tunnel, log, clock }, pod, gateway });
}

async function webSocketLog(call: Call): Promise<void> {
  const { pod, gateway, query, clock, log } = call;
  const options = readLogOptions(query, call.container ?? query.get('container') ?? '', clock.now());
  const protocol = chooseSubprotocol(call, webSocketLogProtocols);
  const left = new AbortController();
  call.socket.once('close', () => left.abort());
  const lines = await gateway.logs(pod, options, left.signal);
  const socket = await acceptWebSocket(call, protocol);
  await serveWebSocketLog(socket, protocol, lines).catch((error) => {
    if (!left.signal.aborted) log.warn({ pod: pod.name, error: messageOf(error) }, 'a log broke off');
  });
}

async function spdyPortForward(call: Call): Promise<void> {
  const offered = offeredStreamProtocols(call.request);
  const [only] = spdyPortForwardProtocols;
  beginSpdy(call.socket, offered.length > 0 ? chooseProtocol(offered, spdyPortForwardProtocols) : only);
  await serveSpdyPortForward({ connection: connectionOf(call, call.socket), pod: call.pod, gateway: call.gateway });
}

const connectionOf = ({ head, log, clock }: Call, duplex: Duplex) => ({ duplex, head, log, clock });

function chooseSubprotocol<Name extends string>({ request }: Call, supported: readonly Name[]): Name {
  const offered = offeredSubprotocols(request);
  return chooseProtocol(offered.length > 0 ? offered : [''], supported);
}
