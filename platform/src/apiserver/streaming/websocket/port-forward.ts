/**
 * Port-forward over WebSocket channels, the older way: port i of the request has channel 2i for data and 2i+1 for an error, and each
 * begins with the port's number in two bytes, least significant first. One connection to each port, made at once.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { WebSocket } from 'ws';
import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import type { NodeGateway, PodKey } from '../../../node/gateway.ts';
import { forwardFailure, joinConnection } from '../port-forward.ts';
import { WebSocketChannels } from './channels.ts';

/** SPDY inside the WebSocket: kubectl 1.31 and later. */
export const spdyTunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

export const webSocketPortForwardProtocols = [
  spdyTunnelProtocol,
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  '',
] as const;
export type WebSocketPortForwardProtocol = (typeof webSocketPortForwardProtocols)[number];

export interface WebSocketPortForwardOptions {
  socket: WebSocket;
  protocol: WebSocketPortForwardProtocol;
  ports: number[];
  pod: PodKey;
  gateway: NodeGateway;
  log: Logger;
  clock: Clock;
}

/** Resolves when every connection has ended. Never rejects. */
export async function serveWebSocketPortForward(options: WebSocketPortForwardOptions): Promise<void> {
  const { socket, protocol, ports, pod, gateway, log, clock } = options;
  const channels = new WebSocketChannels({
    socket,
    encoding: protocol.includes('base64') ? 'base64' : 'binary',
    inputs: ports.map((_, index) => 2 * index),
    halfClose: false,
    clock,
  });
  const serve = async (port: number, index: number) => {
    const [data, failure] = [2 * index, 2 * index + 1];
    try {
      const number = Buffer.of(port & 255, port >> 8);
      await channels.send(data, number);
      await channels.send(failure, number);
      const connection = { readable: channels.input(data), writable: channels.output(data) };
      await joinConnection(connection, () => gateway.portForward(pod, port), channels.gone);
    } catch (error) {
      log.debug({ pod: pod.name, port, error: messageOf(error) }, 'port-forward failed');
      await channels.send(failure, Buffer.from(forwardFailure(port, pod, error))).catch(() => {});
    }
  };
  await Promise.all(ports.map(serve));
  await channels.close();
}
