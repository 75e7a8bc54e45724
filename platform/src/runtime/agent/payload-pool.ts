/**
 * Memory for large payloads, used again and again: a flood of output would otherwise leave the collector as many megabytes to find as there were bytes said.
 * What is not given back is the collector's, as usual.
 */

/** The most a frame carries (guest/PROTOCOL.md, section 2); memory for large payloads comes in pieces of it. */
export const maxPayloadBytes = 65_536;
/** A smaller payload has memory of its own. */
const largeBytes = 16 * 1024;
const mostSpare = 48;
const spare: ArrayBuffer[] = [];

/** For `size` bytes, with whatever was in it before. */
export function takePayload(size: number): Buffer {
  if (size < largeBytes) return Buffer.allocUnsafe(size);
  return Buffer.from(spare.pop() ?? new ArrayBuffer(maxPayloadBytes), 0, size);
}

/** Nobody holds on to these bytes any more. */
export function givePayload(payload: Buffer): void {
  // A small one is a slice of what others share.
  if (payload.length < largeBytes || spare.length >= mostSpare) return;
  if (payload.buffer instanceof ArrayBuffer && payload.buffer.byteLength === maxPayloadBytes)
    spare.push(payload.buffer);
}
