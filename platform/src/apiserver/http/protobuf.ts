/**
 * Kubernetes' protobuf encoding of request bodies, which typed Go clients (kubectl from 1.32 on) send without asking first. Read only:
 * answers are JSON, which the same clients take. Types come from the kinds' schemas, numbers from generated/protobuf-tags.json.
 *
 * Source: apimachinery/pkg/runtime/serializer/protobuf (the envelope), protobuf.dev/programming-guides/encoding (the wire).
 */
import { type FieldType, hasStructType, type Scalar, structType, typeNameOf } from '@sampan/api/schema/schema.ts';
import tagsFile from '../generated/protobuf-tags.json' with { type: 'json' };
import { badRequest } from '../meta/failures.ts';
import { schemaUnion } from './protobuf-schema-unions.ts';
import { nonPointerNumbers, omittedWhenFalse } from './protobuf-zeros.ts';
import { WireReader } from './wire-reader.ts';

/** A field's JSON name, or the fields of a struct that Go embeds. */
type Tags = { [number: string]: string | Tags };
const tags = tagsFile as Record<string, Tags>;

export const protobufType = 'application/vnd.kubernetes.protobuf';

const magic = Buffer.from('k8s\0');
const maxDepth = 64;

type JsonObject = Record<string, unknown>;

/** The object as its JSON would be. Throws BadRequest for bytes that are no such encoding, or for types and fields that we do not know. */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic))
    throw badRequest('the body is not in Kubernetes protobuf encoding');
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  const envelope = new WireReader(body.subarray(magic.length));
  for (let field = envelope.next(); field; field = envelope.next()) {
    if (field.number === 2) raw = field.bytes();
    if (field.number !== 1) continue;
    const meta = new WireReader(field.bytes());
    for (let part = meta.next(); part; part = meta.next()) {
      if (part.number === 1) apiVersion = part.text();
      if (part.number === 2) kind = part.text();
    }
  }
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  // Options of deletes come under the version of the group they are for.
  const name = kind === 'DeleteOptions' ? 'meta/v1.DeleteOptions' : typeNameOf(group ?? '', version ?? '', kind);
  const type = hasStructType(name) ? name : sameInV1(name);
  if (!type) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}" in protobuf; send JSON`);
  return { apiVersion, kind, ...decodeStruct(type, raw, 0) };
}

/** Betas whose messages are those of v1. */
function sameInV1(name: string): string | undefined {
  const stable = name.replace(/\/v1(alpha|beta)\d+\./, '/v1.');
  return hasStructType(stable) ? stable : undefined;
}

function decodeStruct(typeName: string, bytes: Uint8Array, depth: number): JsonObject {
  if (depth > maxDepth) throw badRequest('the protobuf body is nested too deeply');
  const object: JsonObject = {};
  decodeFields({ typeName, tags: tags[typeName] ?? {}, object, depth }, bytes);
  return object;
}

interface Target {
  typeName: string;
  tags: Tags;
  object: JsonObject;
  depth: number;
}

function decodeFields(target: Target, bytes: Uint8Array): void {
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    const name = target.tags[field.number];
    if (name === undefined) {
      const what = `field ${field.number} of ${target.typeName}`;
      throw badRequest(`the protobuf body has ${what}, which this server does not know; send JSON`);
    }
    if (typeof name !== 'string') decodeFields({ ...target, tags: name }, field.bytes());
    else decodeField(target, name, field);
  }
}

type WireField = NonNullable<ReturnType<WireReader['next']>>;

function decodeField({ typeName, object, depth }: Target, name: string, field: WireField): void {
  const type = structType(typeName).fields.get(name);
  if (!type) return;
  const union = schemaUnion(typeName, name);
  if (union && type.form === 'scalar') {
    object[name] = union.decode(field.bytes(), (bytes) => decodeStruct(union.of, bytes, depth + 1));
  } else if (type.form === 'array') {
    object[name] ??= [];
    (object[name] as unknown[]).push(decodeValue(type.of, field, depth));
  } else if (type.form === 'map') {
    const read = (inner: WireField) =>
      union
        ? union.decode(inner.bytes(), (bytes) => decodeStruct(union.of, bytes, depth + 1))
        : decodeValue(type.of, inner, depth);
    const [key, value] = decodeEntry(type.of, field.bytes(), read);
    object[name] ??= {};
    // Not by assignment: a key may be called __proto__.
    Object.defineProperty(object[name] as object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    const value = decodeValue(type, field, depth);
    if (!isGoZero(`${typeName}.${name}`, value)) object[name] = value;
  }
}

/** Go writes fields that are no pointers even when they are empty; in JSON those are left out. */
function isGoZero(field: string, value: unknown): boolean {
  if (value === false) return omittedWhenFalse.has(field);
  return value === null || value === '' || (value === 0 && nonPointerNumbers.has(field));
}

function decodeEntry(of: FieldType, bytes: Uint8Array, read: (field: WireField) => unknown): [string, unknown] {
  let key = '';
  let value: unknown = of.form === 'array' ? [] : of.form === 'scalar' && of.scalar !== 'quantity' ? '' : {};
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) key = field.text();
    if (field.number === 2) value = read(field);
  }
  return [key, value];
}

function decodeValue(type: FieldType, field: WireField, depth: number): unknown {
  if (type.form === 'struct') return decodeStruct(type.name, field.bytes(), depth + 1);
  if (type.form === 'scalar') return decodeScalar(type.scalar, field);
  if (type.form === 'array') return decodeWrapped(type.of, field.bytes(), depth);
  throw badRequest(`field ${field.number} has a form that protobuf has not`);
}

/** Maps of lists do not exist in protobuf: Go wraps the list in a message of its own (`extra` of a user: ExtraValue), as its field 1. */
function decodeWrapped(of: FieldType, bytes: Uint8Array, depth: number): unknown[] {
  const list: unknown[] = [];
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next())
    if (field.number === 1) list.push(decodeValue(of, field, depth + 1));
  return list;
}

function decodeScalar(scalar: Scalar, field: WireField): unknown {
  switch (scalar) {
    case 'string':
      return field.text();
    case 'bool':
      return field.integer() !== 0;
    case 'int32':
    case 'int64':
      return field.integer();
    case 'float64':
      return field.double();
    case 'bytes':
      return Buffer.from(field.bytes()).toString('base64');
    case 'time':
      return decodeTime(field.bytes(), 0);
    case 'microtime':
      return decodeTime(field.bytes(), 6);
    case 'quantity':
      return firstText(field.bytes());
    case 'intorstr':
      return decodeIntOrString(field.bytes());
    case 'any':
      return decodeRaw(field.bytes());
  }
}

/** Timestamp of seconds (1) and nanos (2); Go's zero time is empty. */
function decodeTime(bytes: Uint8Array, digits: 0 | 6): string | null {
  let seconds = 0;
  let nanos = 0;
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) seconds = field.integer();
    if (field.number === 2) nanos = field.integer();
  }
  if (seconds === 0 && nanos === 0) return null;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw badRequest(`the protobuf body has a time of ${seconds} seconds`);
  const whole = date.toISOString().slice(0, 19);
  return digits === 0 ? `${whole}Z` : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

function firstText(bytes: Uint8Array): string {
  return new WireReader(bytes).next()?.text() ?? '0';
}

/** type (1: 0 is a number), intVal (2), strVal (3). */
function decodeIntOrString(bytes: Uint8Array): number | string {
  let isText = false;
  let number = 0;
  let text = '';
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) isText = field.integer() === 1;
    if (field.number === 2) number = field.integer();
    if (field.number === 3) text = field.text();
  }
  return isText ? text : number;
}

/** RawExtension and FieldsV1: JSON in field 1. */
function decodeRaw(bytes: Uint8Array): unknown {
  const text = new WireReader(bytes).next()?.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest('the protobuf body embeds something that is no JSON');
  }
}
