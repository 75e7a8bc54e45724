/**
 * Protocol buffers, proto3, as far as containerd's task API needs them (protobuf.dev, "Encoding"): messages are described by tables, and the
 * tables give the types. Unknown fields are skipped, defaults are filled in, lengths are checked before anything is read.
 */
import { SampanError } from '@sampan/api/errors.ts';

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

interface Codec<T> {
  wireType: number;
  /** Undefined means: absent on the wire. */
  initial: () => T;
  isDefault(value: T): boolean;
  write(value: T): Buffer;
  read(raw: bigint | Buffer): T;
}

export interface Field<T> {
  number: number;
  codec: Codec<unknown>;
  repeated: boolean;
  initial: () => T;
}

type ValueOf<F> = F extends Field<infer T> ? T : never;
export type Fields = Record<string, Field<unknown>>;
type Shape<F extends Fields> = { [K in keyof F]: ValueOf<F[K]> };
/** What a message decodes to. */
export type Decoded<M> = M extends Message<infer F> ? Shape<F> : never;

export class Message<F extends Fields> {
  readonly fields: F;
  readonly #byNumber: Map<number, [name: string, field: Field<unknown>]>;

  constructor(fields: F) {
    this.fields = fields;
    this.#byNumber = new Map(Object.entries(fields).map(([name, field]) => [field.number, [name, field]]));
  }

  encode(value: Partial<Shape<F>>): Buffer {
    const pieces: Buffer[] = [];
    for (const [name, { number, codec, repeated }] of Object.entries(this.fields)) {
      const given = value[name] as unknown;
      const items = repeated ? ((given as unknown[] | undefined) ?? []) : [given];
      for (const item of items) {
        if (item === undefined || (!repeated && codec.isDefault(item))) continue;
        const body = codec.write(item);
        pieces.push(varint(BigInt(number * 8 + codec.wireType)));
        if (codec.wireType === wire.bytes) pieces.push(varint(BigInt(body.length)));
        pieces.push(body);
      }
    }
    return Buffer.concat(pieces);
  }

  /** Throws BadRequest for bytes that are no such message. */
  decode(bytes: Uint8Array): Shape<F> {
    const value: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(this.fields)) value[name] = field.initial();
    const reader = new Reader(bytes);
    while (!reader.done) {
      const tag = Number(reader.varint());
      const raw = reader.value(tag & 7);
      const known = this.#byNumber.get(tag >>> 3);
      if (!known) continue;
      const [name, { codec, repeated }] = known;
      if (codec.wireType !== (tag & 7)) throw broken(`field ${name} has wire type ${tag & 7}`);
      if (repeated) (value[name] as unknown[]).push(codec.read(raw));
      else value[name] = codec.read(raw);
    }
    return value as Shape<F>;
  }
}

const broken = (why: string) => new SampanError('BadRequest', `protobuf: ${why}`);

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw broken('it ends within a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw broken('a number of more than 64 bits');
  }

  value(wireType: number): bigint | Buffer {
    if (wireType === wire.varint) return this.varint();
    if (wireType === wire.bytes) return this.#take(Number(this.varint()));
    if (wireType === wire.fixed64) return this.#take(8);
    if (wireType === wire.fixed32) return this.#take(4);
    throw broken(`wire type ${wireType}`);
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw broken('it ends within a field');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const text: Codec<string> = {
  wireType: wire.bytes,
  initial: () => '',
  isDefault: (value) => value === '',
  write: (value) => Buffer.from(value, 'utf8'),
  read: (raw) => (raw as Buffer).toString('utf8'),
};
const raw: Codec<Uint8Array> = {
  wireType: wire.bytes,
  initial: () => Buffer.alloc(0),
  isDefault: (value) => value.length === 0,
  write: (value) => Buffer.from(value),
  read: (value) => value as Buffer,
};
const bool: Codec<boolean> = {
  wireType: wire.varint,
  initial: () => false,
  isDefault: (value) => !value,
  write: (value) => varint(value ? 1n : 0n),
  read: (value) => value !== 0n,
};
const small: Codec<number> = {
  wireType: wire.varint,
  initial: () => 0,
  isDefault: (value) => value === 0,
  write: (value) => varint(BigInt(value)),
  read: (value) => Number(BigInt.asUintN(32, value as bigint)),
};
const large: Codec<bigint> = {
  wireType: wire.varint,
  initial: () => 0n,
  isDefault: (value) => value === 0n,
  write: varint,
  read: (value) => BigInt.asIntN(64, value as bigint),
};

function single<T>(number: number, codec: Codec<T>): Field<T> {
  return { number, codec: codec as Codec<unknown>, repeated: false, initial: codec.initial };
}

export const string = (number: number) => single(number, text);
export const bytes = (number: number) => single(number, raw);
export const boolean = (number: number) => single(number, bool);
/** uint32, int32 and enums. */
export const uint32 = (number: number) => single(number, small);
/** int64 and uint64 below 2^63. */
export const int64 = (number: number) => single(number, large);

/** A message in a message: undefined when it is absent. */
export function nested<F extends Fields>(number: number, message: Message<F>): Field<Partial<Shape<F>> | undefined> {
  const codec: Codec<Partial<Shape<F>>> = {
    wireType: wire.bytes,
    initial: () => ({}),
    isDefault: () => false,
    write: (value) => message.encode(value),
    read: (value) => message.decode(value as Buffer) as Partial<Shape<F>>,
  };
  return { number, codec: codec as Codec<unknown>, repeated: false, initial: () => undefined };
}

/** Any number of strings or messages. */
export function repeated<T>(field: Field<T>): Field<NonNullable<T>[]> {
  return { number: field.number, codec: field.codec, repeated: true, initial: () => [] };
}

const pair = new Message({ key: string(1), value: string(2) });
/** map<string, string> is a list of pairs on the wire. */
export const pairs = (number: number) => repeated(nested(number, pair));
