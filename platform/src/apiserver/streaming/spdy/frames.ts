/**
 * SPDY/3.1 frames (draft-mbelshe-httpbis-spdy-00, section 2.2) as bytes: reads them out of chunks, writes them. Knows no connection.
 * A control frame comes whole and is bounded; a data frame comes in pieces as they arrive, since its sender may make it 16 MiB long.
 */
import { SampanError } from '@sampan/api/errors.ts';

export const frameTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const frameFlags = { fin: 1 } as const;

export const resetCodes = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
} as const;
export type ResetCode = (typeof resetCodes)[keyof typeof resetCodes];

export const goAwayCodes = { ok: 0, protocolError: 1, internalError: 2 } as const;

export type FramePart =
  | { kind: 'control'; type: number; flags: number; payload: Buffer }
  /** `fin` stands on the last piece of a frame only. */
  | { kind: 'data'; streamId: number; bytes: Buffer; fin: boolean };

const headerBytes = 8;
const version = 3;
/** A stream's headers are a few hundred bytes; nothing else is longer. */
const maxControlBytes = 16 << 10;

export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);
  #data: { streamId: number; fin: boolean; left: number } | undefined;

  /** Throws BadRequest on what is no SPDY/3 frame; the connection is beyond use then. */
  *read(chunk: Buffer): Generator<FramePart> {
    let bytes: Buffer = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    for (;;) {
      if (this.#data) {
        const piece = bytes.subarray(0, this.#data.left);
        bytes = bytes.subarray(piece.length);
        this.#data.left -= piece.length;
        const whole = this.#data.left === 0;
        if (piece.length > 0 || whole) {
          const { streamId, fin } = this.#data;
          if (whole) this.#data = undefined;
          yield { kind: 'data', streamId, bytes: piece, fin: fin && whole };
        }
        if (!whole) break;
      }
      if (bytes.length < headerBytes) break;
      const length = bytes.readUInt32BE(4) & 0xffffff;
      if (bytes[0]! & 0x80) {
        if (length > maxControlBytes) throw invalid(`a control frame of ${length} bytes, more than ${maxControlBytes}`);
        if (bytes.length < headerBytes + length) break;
        const frame = controlFrame(bytes.subarray(0, headerBytes + length));
        bytes = bytes.subarray(headerBytes + length);
        yield frame;
      } else {
        this.#data = { streamId: bytes.readUInt32BE(0), fin: (bytes[4]! & frameFlags.fin) !== 0, left: length };
        bytes = bytes.subarray(headerBytes);
      }
    }
    this.#pending = bytes;
  }
}

function controlFrame(frame: Buffer): FramePart {
  const saidVersion = frame.readUInt16BE(0) & 0x7fff;
  if (saidVersion !== version) throw invalid(`SPDY version ${saidVersion}, wanted ${version}`);
  return { kind: 'control', type: frame.readUInt16BE(2), flags: frame[4]!, payload: frame.subarray(headerBytes) };
}

export const invalid = (what: string): SampanError =>
  new SampanError('BadRequest', `the SPDY connection cannot go on: the client sent ${what}`);

function control(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(0x8000 | version, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt32BE(payload.length, 4);
  header[4] = flags;
  return Buffer.concat([header, payload]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

export const synReplyFrame = (streamId: number, headerBlock: Buffer): Buffer =>
  control(frameTypes.synReply, 0, Buffer.concat([words(streamId), headerBlock]));

/** Nothing is associated with it, and its priority is the highest, as Go's client has it. */
export const synStreamFrame = (streamId: number, headerBlock: Buffer): Buffer =>
  control(frameTypes.synStream, 0, Buffer.concat([words(streamId, 0), Buffer.alloc(2), headerBlock]));

export const resetFrame = (streamId: number, code: ResetCode): Buffer =>
  control(frameTypes.rstStream, 0, words(streamId, code));

export const pingFrame = (id: number): Buffer => control(frameTypes.ping, 0, words(id));

export const goAwayFrame = (lastStreamId: number, code: number): Buffer =>
  control(frameTypes.goAway, 0, words(lastStreamId, code));

export const windowUpdateFrame = (streamId: number, delta: number): Buffer =>
  control(frameTypes.windowUpdate, 0, words(streamId, delta));

export function dataFrame(streamId: number, data: Uint8Array, fin = false): Buffer {
  const header = words(streamId, data.length);
  header[4] = fin ? frameFlags.fin : 0;
  return Buffer.concat([header, data]);
}
