/**
 * Reads what is left of a refused request's body and forgets it. A connection that is closed over bytes nobody read is reset, and a client that is
 * still sending then learns of a broken pipe instead of the refusal.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';

/** Ten times the largest body: whoever sends more will not be convinced. */
const mostBytes = 32 << 20;
const mostMs = 2_000;

/** Resolves when the body has ended, its sender has left, or there was enough of it. */
export async function readAway(request: IncomingMessage, clock: Clock): Promise<void> {
  if (request.complete || request.destroyed) return;
  const over = new AbortController();
  const end = () => over.abort();
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostBytes) end();
  });
  for (const event of ['end', 'error', 'close']) request.on(event, end);
  request.resume();
  await clock.sleep(mostMs, over.signal).catch(() => {});
  request.pause();
}
