/**
 * Whether anybody lives in a machine, asked without the agent's client, which is a level above: the first frame of guest/PROTOCOL.md (sections 2 and 3)
 * and the nonce that comes back. What it takes is the guest's processor, its memory, and its interrupts in both directions.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';

const headerBytes = 12;
const sync = 1;
const seal = 0xa5;
/** Zero bytes and an answer are less. */
const maxAnswerBytes = 4096;

/** Throws Timeout, or ServiceUnavailable when the socket closes first. The connection is closed when it returns. */
export async function agentAnswers(channelPath: string, clock: Clock, timeoutMs: number): Promise<void> {
  const nonce = randomBytes(16);
  const socket = connect(channelPath);
  const stop = new AbortController();
  const timeout = clock.sleep(timeoutMs, stop.signal).then(() => {
    throw new SampanError('Timeout', `the agent did not answer within ${timeoutMs} ms`);
  });
  timeout.catch(() => {});
  const answered = new Promise<void>((resolve, reject) => {
    const closed = (why: string) => reject(new SampanError('ServiceUnavailable', `the agent's channel: ${why}`));
    let heard = Buffer.alloc(0);
    socket.once('error', ({ message }) => closed(message));
    socket.once('close', () => closed('closed without an answer'));
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]).subarray(-maxAnswerBytes);
      if (heard.includes(nonce)) resolve();
    });
  });
  try {
    socket.write(syncFrame(nonce));
    await Promise.race([answered, timeout]);
  } finally {
    stop.abort();
    socket.destroy();
  }
}

function syncFrame(nonce: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(sync, 0);
  header.writeUInt32LE(nonce.length, 8);
  return Buffer.concat([header, nonce, Buffer.from([seal])]);
}
