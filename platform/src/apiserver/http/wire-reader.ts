/** The protobuf wire format: fields one after the other. It knows numbers and wire types, not messages. */
import { badRequest } from '../meta/failures.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field as it stands on the wire; each reading throws BadRequest when the wire type is another. */
export class WireField {
  readonly number: number;
  readonly #wireType: number;
  readonly #value: bigint | Uint8Array;

  constructor(number: number, wireType: number, value: bigint | Uint8Array) {
    this.number = number;
    this.#wireType = wireType;
    this.#value = value;
  }

  bytes(): Uint8Array {
    if (this.#wireType !== wireTypes.bytes) throw broken(`field ${this.number} is no text or message`);
    return this.#value as Uint8Array;
  }

  text(): string {
    try {
      return utf8.decode(this.bytes());
    } catch {
      throw broken(`field ${this.number} is no UTF-8`);
    }
  }

  /** Signed, as int32 and int64 are written. Throws for what a JSON number cannot hold. */
  integer(): number {
    if (this.#wireType !== wireTypes.varint) throw broken(`field ${this.number} is no number`);
    const value = Number(BigInt.asIntN(64, this.#value as bigint));
    if (!Number.isSafeInteger(value)) throw broken(`field ${this.number} is too large a number`);
    return value;
  }

  double(): number {
    if (this.#wireType !== wireTypes.fixed64) throw broken(`field ${this.number} is no double`);
    const bytes = this.#value as Uint8Array;
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }
}

export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next field; undefined at the end. Throws BadRequest where the bytes break off. */
  next(): WireField | undefined {
    if (this.#at >= this.#bytes.length) return undefined;
    const key = Number(this.#varint());
    const number = Math.floor(key / 8);
    const wireType = key % 8;
    switch (wireType) {
      case wireTypes.varint:
        return new WireField(number, wireType, this.#varint());
      case wireTypes.fixed64:
        return new WireField(number, wireType, this.#take(8));
      case wireTypes.bytes:
        return new WireField(number, wireType, this.#take(Number(this.#varint())));
      case wireTypes.fixed32:
        return new WireField(number, wireType, this.#take(4));
      default:
        throw broken(`wire type ${wireType}`);
    }
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw broken('a number without an end');
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw broken('a field that is longer than the body');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function broken(what: string) {
  return badRequest(`the protobuf body is broken: ${what}`);
}
