/**
 * Frames of guest/PROTOCOL.md, sections 2 and 3: bytes to frames and back, and the search for the guest's SYNC_ACK. Knows nothing of what
 * frames mean. Every length is checked before a byte is kept: the decoder holds at most one frame.
 */

export const maxPayloadBytes = 65_536;
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

/** Pieces of an unfinished frame that are kept apart. */
const mostPieces = 64;

/** Bytes in any pieces, frames out. Throws ProtocolViolation at the first impossible byte. */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #size = 0;
  /** Bytes of the frame that has begun, as far as is known. */
  #wanted = headerBytes;

  /** Bytes are joined when a frame is whole, not at each piece of it. */
  *push(data: Buffer): Generator<Frame> {
    this.#pieces.push(data);
    this.#size += data.length;
    if (this.#size < this.#wanted) {
      if (this.#pieces.length > mostPieces) this.#pieces = [Buffer.concat(this.#pieces)];
      return;
    }
    let bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    for (;;) {
      this.#wanted = frameBytes(bytes);
      if (bytes.length < this.#wanted) break;
      const frame = decodeOne(bytes, this.#wanted);
      bytes = bytes.subarray(this.#wanted);
      yield frame;
    }
    this.#pieces = bytes.length > 0 ? [bytes] : [];
    this.#size = bytes.length;
  }
}

/** How long the frame is that begins here; of one whose header is not whole, the header's length. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < headerBytes) return headerBytes;
  const type = bytes[0]!;
  const length = bytes.readUInt32LE(8);
  if (type === 0 || type > frameType.close) throw new ProtocolViolation(`a frame of type ${type}`);
  if (bytes.readUInt16LE(2) !== 0) throw new ProtocolViolation('a frame with reserved bits');
  if (length > maxPayloadBytes) throw new ProtocolViolation(`a frame of ${length} bytes`);
  return headerBytes + length + 1;
}

function decodeOne(bytes: Buffer, size: number): Frame {
  if (bytes[size - 1] !== seal) throw new ProtocolViolation('a frame without its seal');
  return {
    type: bytes[0]!,
    part: bytes[1]!,
    id: bytes.readUInt32LE(4),
    payload: bytes.subarray(headerBytes, size - 1),
  };
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
