/**
 * Frames of guest/PROTOCOL.md, sections 2 and 3: bytes to frames and back, and the search for the guest's SYNC_ACK. Knows nothing of what
 * frames mean. Every length is checked before a byte is kept: the decoder holds at most one frame.
 */
import { maxPayloadBytes, takePayload } from './payload-pool.ts';

const headerBytes = 12;
const seal = 0xa5;

export const frameType = {
  sync: 1,
  syncAck: 2,
  call: 3,
  reply: 4,
  event: 5,
  data: 6,
  credit: 7,
  end: 8,
  close: 9,
} as const;

export interface Frame {
  type: number;
  part: number;
  id: number;
  payload: Buffer;
}

/** What completes a frame that a server before us left torn: its seal is then wrong and the guest drops it. */
export const resyncPadding = Buffer.alloc(maxPayloadBytes + headerBytes + 1);

export function encodeFrame(frame: { type: number; part?: number; id?: number }, payload: Uint8Array): Buffer {
  if (payload.length > maxPayloadBytes) throw new RangeError(`a frame of ${payload.length} bytes`);
  const bytes = Buffer.allocUnsafe(headerBytes + payload.length + 1);
  bytes.writeUInt32LE(frame.type | ((frame.part ?? 0) << 8), 0);
  bytes.writeUInt32LE(frame.id ?? 0, 4);
  bytes.writeUInt32LE(payload.length, 8);
  bytes.set(payload, headerBytes);
  bytes[bytes.length - 1] = seal;
  return bytes;
}

/**
 * Bytes in any pieces, frames out. The bytes may be overwritten afterwards: each frame's payload is a copy, and its receiver's. Throws
 * ProtocolViolation at the first impossible byte.
 */
export class FrameDecoder {
  readonly #head: Buffer = Buffer.alloc(headerBytes);
  #headSize = 0;
  #payload: Buffer | undefined;
  #payloadSize = 0;

  *push(data: Buffer): Generator<Frame> {
    for (let at = 0; at < data.length; ) {
      if (!this.#payload) {
        const count = data.copy(this.#head, this.#headSize, at);
        at += count;
        this.#headSize += count;
        if (this.#headSize < headerBytes) return;
        this.#payload = takePayload(payloadBytes(this.#head));
        this.#payloadSize = 0;
      }
      const count = data.copy(this.#payload, this.#payloadSize, at);
      at += count;
      this.#payloadSize += count;
      if (this.#payloadSize < this.#payload.length || at === data.length) continue;
      if (data[at++] !== seal) throw new ProtocolViolation('a frame without its seal');
      const payload = this.#payload;
      this.#payload = undefined;
      this.#headSize = 0;
      yield { type: this.#head[0]!, part: this.#head[1]!, id: this.#head.readUInt32LE(4), payload };
    }
  }
}

function payloadBytes(head: Buffer): number {
  const type = head[0]!;
  const length = head.readUInt32LE(8);
  if (type === 0 || type > frameType.close) throw new ProtocolViolation(`a frame of type ${type}`);
  if (head.readUInt16LE(2) !== 0) throw new ProtocolViolation('a frame with reserved bits');
  if (length > maxPayloadBytes) throw new ProtocolViolation(`a frame of ${length} bytes`);
  return length;
}

/** The guest did what PROTOCOL.md does not allow. */
export class ProtocolViolation extends Error {}

/** Throws away what belongs to connections before this one, up to the SYNC_ACK that carries our nonce. */
export class SyncSearch {
  readonly #nonce: Buffer;
  #kept: Buffer = Buffer.alloc(0);

  constructor(nonce: Buffer) {
    this.#nonce = nonce;
  }

  /** The bytes from the SYNC_ACK's header on, once it has come; keeps only what may be its beginning. */
  push(data: Buffer): Buffer | undefined {
    const bytes = Buffer.concat([this.#kept, data]);
    for (let at = bytes.indexOf(this.#nonce); at >= 0; at = bytes.indexOf(this.#nonce, at + 1)) {
      const start = at - headerBytes;
      if (start >= 0 && bytes.readUInt32LE(start) === frameType.syncAck && bytes.readUInt32LE(start + 4) === 0)
        return bytes.subarray(start);
    }
    this.#kept = bytes.subarray(-(headerBytes + this.#nonce.length));
    return undefined;
  }
}
