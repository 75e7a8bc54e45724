/** Exec and attach over WebSocket: channel 0 stdin, 1 stdout, 2 stderr, 3 the error status, 4 terminal sizes. */
import type { WebSocket } from 'ws';
import type { Clock } from '../../../base/clock.ts';
import type { ExecOptions } from '../../../node/gateway.ts';
import type { CommandChannels } from '../command.ts';
import { asWords } from '../status.ts';
import { WebSocketChannels } from './channels.ts';

/** '' is for clients that offer none: they speak channel.k8s.io. */
export const webSocketCommandProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
] as const;
export type WebSocketCommandProtocol = (typeof webSocketCommandProtocols)[number];

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export interface WebSocketCommandOptions {
  socket: WebSocket;
  protocol: WebSocketCommandProtocol;
  options: Omit<ExecOptions, 'command'>;
  clock: Clock;
}

export function openWebSocketCommand({ socket, protocol, options, clock }: WebSocketCommandOptions): CommandChannels {
  const inputs = [...(options.stdin ? [channel.stdin] : []), ...(options.tty ? [channel.resize] : [])];
  const encoding = protocol.includes('base64') ? 'base64' : 'binary';
  const halfClose = protocol === 'v5.channel.k8s.io';
  const channels = new WebSocketChannels({ socket, encoding, inputs, halfClose, clock });
  // Older clients take the first message, even an empty one, as the sign that the connection stands.
  const first = options.stdout ? channel.stdout : options.stderr ? channel.stderr : channel.error;
  channels.send(first, new Uint8Array(0)).catch(() => {});
  const json = protocol.startsWith('v');
  return {
    stdin: options.stdin ? channels.input(channel.stdin) : undefined,
    stdout: options.stdout ? channels.output(channel.stdout) : undefined,
    stderr: options.stderr ? channels.output(channel.stderr) : undefined,
    resize: options.tty ? channels.input(channel.resize) : undefined,
    gone: channels.gone,
    finish: async (status) => {
      const words = json ? JSON.stringify(status) : asWords(status);
      if (words) await channels.send(channel.error, Buffer.from(words)).catch(() => {});
      await channels.close();
    },
  };
}
