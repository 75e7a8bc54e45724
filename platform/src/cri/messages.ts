/**
 * CRI's services as grpc-js serves and calls them, with messages in the shape of runtime/generated/cri.ts: 64-bit numbers are bigints, and what a
 * message does not carry is absent. But for two kinds of field whose zero says something: enums (NamespaceMode POD, profile RuntimeDefault) and the
 * numbers inside ...Value messages (runAsUser 0), which proto3 leaves out too.
 *
 * Owns that translation alone; the wire format is proto-loader's.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition, type ProtobufTypeDefinition } from '@grpc/proto-loader';

export interface CriServices {
  runtime: ServiceDefinition;
  image: ServiceDefinition;
}

/** What of google.protobuf.FieldDescriptorProto is needed to find the 64-bit numbers. */
interface Field {
  name: string;
  type: string;
  label: string;
  typeName?: string;
}

type Message = Record<string, unknown>;
type Translate = (value: unknown) => unknown;

/** Messages whose presence alone says zero. */
const wrappers = new Set(['Int64Value', 'UInt64Value']);
const wideTypes = new Set(['TYPE_INT64', 'TYPE_UINT64']);

/** Reads the proto; done once by whoever serves or calls. */
export function loadCriServices(): CriServices {
  const path = fileURLToPath(new URL('./generated/api.proto', import.meta.url));
  const definition = loadSync(path, { keepCase: false, longs: String, defaults: false, oneofs: false });
  const toBigint = translator(definition, { change: (value) => BigInt(value as string), fill: true });
  const toText = translator(definition, { change: String, fill: false });
  const serviceOf = (name: string): ServiceDefinition => {
    const methods = Object.entries(definition[`runtime.v1.${name}`] as ServiceDefinition);
    return Object.fromEntries(methods.map(([key, method]) => [key, wrap(method, toBigint, toText)]));
  };
  return { runtime: serviceOf('RuntimeService'), image: serviceOf('ImageService') };
}

/** Names of all fields of all messages, for the test that holds them against the generated types. */
export function fieldsOfMessages(): Map<string, string[]> {
  const path = fileURLToPath(new URL('./generated/api.proto', import.meta.url));
  const definition = loadSync(path, { keepCase: false, longs: String, defaults: false, oneofs: false });
  const names = Object.keys(definition).filter((name) => fieldsOf(definition, name));
  return new Map(names.map((name) => [shortName(name), fieldsOf(definition, name)!.map((field) => field.name)]));
}

type Method = MethodDefinition<unknown, unknown> & {
  requestType: ProtobufTypeDefinition;
  responseType: ProtobufTypeDefinition;
};

function wrap(method: unknown, toBigint: Translator, toText: Translator): Method {
  const { requestType, responseType, ...rest } = method as Method;
  const [request, response] = [nameOf(requestType), nameOf(responseType)];
  return {
    ...rest,
    requestType,
    responseType,
    requestSerialize: (value) => rest.requestSerialize(toText(request, value)),
    requestDeserialize: (bytes) => toBigint(request, rest.requestDeserialize(bytes)),
    responseSerialize: (value) => rest.responseSerialize(toText(response, value)),
    responseDeserialize: (bytes) => toBigint(response, rest.responseDeserialize(bytes)),
  };
}

const nameOf = ({ type }: ProtobufTypeDefinition): string => (type as { name: string }).name;
const shortName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

function fieldsOf(definition: PackageDefinition, name: string): Field[] | undefined {
  return (definition[name] as { type?: { field?: Field[] } } | undefined)?.type?.field;
}

type Translator = (messageName: string, message: unknown) => unknown;

interface Plan {
  /** Fields that must be changed. */
  changes: Map<string, Translate>;
  /** Zeros that are said by saying nothing. */
  zeros: Message;
}

/** Changes every 64-bit number of a message by `change`; everything else stays as it is. */
function translator(definition: PackageDefinition, options: { change: Translate; fill: boolean }): Translator {
  const known = new Map<string, Plan>();
  const planOf = (name: string): Plan => {
    const found = known.get(name);
    if (found) return found;
    const fields = fieldsOf(definition, `runtime.v1.${name}`) ?? [];
    const plan: Plan = { changes: new Map(), zeros: options.fill ? zerosOf(name, fields) : {} };
    // Before the fields: a message that holds itself ends here.
    known.set(name, plan);
    for (const field of fields) {
      if (wideTypes.has(field.type)) plan.changes.set(field.name, options.change);
      if (field.type !== 'TYPE_MESSAGE') continue;
      const inner = shortName(field.typeName ?? '');
      if (!isIdle(planOf(inner))) plan.changes.set(field.name, (value) => translate(inner, value));
    }
    return plan;
  };
  const translate: Translator = (name, message) => {
    const plan = planOf(name);
    if (isIdle(plan) || message === null || typeof message !== 'object') return message;
    const copy: Message = { ...(message as Message) };
    for (const [field, each] of plan.changes) {
      const value = copy[field];
      if (value === undefined || value === null) continue;
      copy[field] = Array.isArray(value) ? value.map(each) : each(value);
    }
    return { ...plan.zeros, ...copy };
  };
  return translate;
}

const isIdle = ({ changes, zeros }: Plan): boolean => changes.size === 0 && Object.keys(zeros).length === 0;

function zerosOf(message: string, fields: Field[]): Message {
  const said = fields.filter(
    ({ type, label }) => label !== 'LABEL_REPEATED' && (type === 'TYPE_ENUM' || wrappers.has(message)),
  );
  return Object.fromEntries(said.map(({ name, type }) => [name, wideTypes.has(type) ? 0n : 0]));
}
