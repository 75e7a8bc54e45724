/** Tries whether a port takes connections. */
import { connect } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { dialWords } from './http-get.ts';

/** Throws Timeout or ServiceUnavailable in the words of Go's dialler. */
export async function tcpConnect(target: {
  host: string;
  port: number;
  timeoutMs: number;
  clock: Clock;
}): Promise<void> {
  const { host, port, timeoutMs, clock } = target;
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const socket = connect({ host, port });
  const done = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', (error) =>
        reject(new SampanError('ServiceUnavailable', dialWords(error, { host: address }), {}, { cause: error })),
      );
      clock.sleep(timeoutMs, done.signal).then(
        () => reject(new SampanError('Timeout', `dial tcp ${address}: i/o timeout`)),
        () => {},
      );
    });
  } finally {
    done.abort();
    socket.destroy();
  }
}
