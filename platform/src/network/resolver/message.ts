/**
 * DNS messages as the resolver needs them (RFC 1035, RFC 6891): reads one question out of a hostile packet, writes answers of its own.
 * What is forwarded is never re-encoded, only its id changed.
 */
import { type Answer, decode, encode } from 'dns-packet';

export interface Query {
  id: number;
  /** Lower case, without the last dot. Bytes are read as latin1, so any name keeps its identity. */
  name: string;
  /** RFC 1035 TYPE: 1 is A, 28 AAAA. */
  type: number;
  class: number;
  /** End of the question section in `bytes`. */
  questionEnd: number;
  /** What the asker takes in one UDP datagram. */
  maxUdpBytes: number;
  bytes: Buffer;
}

export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;
export type Rcode = (typeof rcodes)[keyof typeof rcodes];

export const recordTypes = { a: 1, ptr: 12, any: 255 } as const;

const headerBytes = 12;
const flag = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
  desired: 0x0100,
  available: 0x0080,
};

/**
 * undefined: not a query, to be dropped in silence (answering answers makes loops). A Rcode: a query, but not one to be worked on.
 */
export function readQuery(bytes: Buffer): Query | Rcode | undefined {
  if (bytes.length < headerBytes) return undefined;
  const flags = bytes.readUInt16BE(2);
  if (flags & flag.response) return undefined;
  if (flags & flag.opcode) return rcodes.notImplemented;
  if (bytes.readUInt16BE(4) !== 1) return rcodes.formatError;
  const name = readName(bytes);
  if (!name || name.end + 4 > bytes.length) return rcodes.formatError;
  return {
    id: bytes.readUInt16BE(0),
    name: name.text.toLowerCase(),
    type: bytes.readUInt16BE(name.end),
    class: bytes.readUInt16BE(name.end + 2),
    questionEnd: name.end + 4,
    maxUdpBytes: ednsSize(bytes),
    bytes,
  };
}

/** The question's name. A pointer cannot point at anything yet, so none is followed. */
function readName(bytes: Buffer): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let at = headerBytes;
  while (at < bytes.length && at - headerBytes < 255) {
    const length = bytes[at]!;
    if (length === 0) return { text: labels.join('.'), end: at + 1 };
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return undefined;
}

function ednsSize(bytes: Buffer): number {
  if (bytes.readUInt16BE(10) === 0) return 512;
  try {
    const options = (decode(bytes).additionals ?? []).find((record) => record.type === 'OPT');
    const size = options && 'udpPayloadSize' in options ? options.udpPayloadSize : 512;
    return Math.min(4096, Math.max(512, size));
  } catch {
    return 512;
  }
}

export interface Reply {
  rcode: Rcode;
  authoritative?: boolean;
  truncated?: boolean;
  answers?: Answer[];
  authorities?: Answer[];
}

/** An answer that carries the question's own bytes, so that the asker recognises it whatever its name holds. */
export function writeReply(query: Query, reply: Reply): Buffer {
  const { answers = [], authorities = [] } = reply;
  const header = replyHeader(query.bytes, reply);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  const records = encode({ type: 'response', answers, authorities }).subarray(headerBytes);
  return Buffer.concat([header, query.bytes.subarray(headerBytes, query.questionEnd), records]);
}

/** An error to a query that could not be read: no question is repeated. */
export const writeError = (bytes: Buffer, rcode: Rcode): Buffer => replyHeader(bytes, { rcode });

function replyHeader(query: Buffer, { rcode, authoritative, truncated }: Reply): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  const asked = query.readUInt16BE(2) & (flag.desired | flag.opcode);
  const ours = (authoritative ? flag.authoritative : 0) | (truncated ? flag.truncated : 0);
  header.writeUInt16BE(flag.response | flag.available | asked | ours | rcode, 2);
  return header;
}

/** Is this upstream's answer to our question? Checks id, direction and the question's bytes (names compare without case). */
export function answers(reply: Buffer, id: number, query: Query): boolean {
  if (reply.length < headerBytes || reply.readUInt16BE(0) !== id || !(reply[2]! & 0x80)) return false;
  // An error may come without the question.
  if (reply.readUInt16BE(4) === 0) return rcodeOf(reply) !== rcodes.noError;
  const question = (bytes: Buffer) => bytes.toString('latin1', headerBytes, query.questionEnd).toLowerCase();
  return reply.length >= query.questionEnd && question(reply) === question(query.bytes);
}

export const rcodeOf = (reply: Buffer): number => reply[3]! & 0x0f;
export const isTruncated = (reply: Buffer): boolean => (reply[2]! & (flag.truncated >> 8)) !== 0;

export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
