/**
 * ttrpc on the wire (containerd/ttrpc, PROTOCOL.md): a header of ten bytes (length, stream id, type, flags) and a message. Requests and responses
 * of unary calls only; data of streams is refused.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { bytes, int64, Message, nested, repeated, string, uint32 } from './protobuf.ts';

export const headerBytes = 10;
export const maxMessageBytes = 4 * 1024 * 1024;
export const messageType = { request: 1, response: 2, data: 3 } as const;

export interface TtrpcMessage {
  streamId: number;
  type: number;
  payload: Buffer;
}

const keyValue = new Message({ key: string(1), value: string(2) });

export const requestMessage = new Message({
  service: string(1),
  method: string(2),
  payload: bytes(3),
  timeoutNano: int64(4),
  metadata: repeated(nested(5, keyValue)),
});

/** google.rpc.Status. */
const statusMessage = new Message({ code: uint32(1), message: string(2) });
export const responseMessage = new Message({ status: nested(1, statusMessage), payload: bytes(2) });

export function encodeMessage(type: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(payload.length, 0);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt8(type, 8);
  return Buffer.concat([header, payload]);
}

/** Cuts a byte stream into messages. Keeps at most one unfinished message. */
export class MessageDecoder {
  #pieces: Buffer[] = [];
  #length = 0;

  /** Throws RequestEntityTooLarge when a message says that it is larger than allowed. */
  *push(chunk: Buffer): Generator<TtrpcMessage, void, void> {
    this.#pieces.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= headerBytes) {
      const held = this.#joined();
      const length = held.readUInt32BE(0);
      if (length > maxMessageBytes)
        throw new SampanError(
          'RequestEntityTooLarge',
          `ttrpc: a message of ${length} bytes; at most ${maxMessageBytes}`,
        );
      if (held.length < headerBytes + length) return;
      const payload = Buffer.from(held.subarray(headerBytes, headerBytes + length));
      this.#pieces = [held.subarray(headerBytes + length)];
      this.#length -= headerBytes + length;
      yield { streamId: held.readUInt32BE(4), type: held.readUInt8(8), payload };
    }
  }

  #joined(): Buffer {
    const held = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [held];
    return held;
  }
}
