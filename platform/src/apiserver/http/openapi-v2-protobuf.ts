/**
 * An OpenAPI v2 document in protobuf, the only form old kubectls take it in. Numbers are those of gnostic's openapi.v2 messages.
 */
import type { DocumentV2, OperationV2, ParameterV2 } from './openapi-v2.ts';
import { extensionsOf, type SchemaV2 } from './openapi-v2-schema.ts';

/** As answers name it; clients ask with an `@` for the third dot, which is no legal media type. */
export const openApiV2ProtobufType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Document: swagger 1, info 2, paths 8, definitions 9. */
export function encodeOpenApiV2({ swagger, info, paths, definitions }: DocumentV2): Buffer {
  return message(
    text(1, swagger),
    field(2, message(text(1, info.title), text(2, info.version))),
    field(8, message(...Object.entries(paths).map(([path, item]) => field(2, named(path, pathItem(item)))))),
    field(9, message(...Object.entries(definitions).map(([name, one]) => field(1, named(name, schema(one)))))),
  );
}

const methodNumbers: Record<string, number> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };

function pathItem(operations: Record<string, OperationV2>): Buffer {
  return message(
    ...Object.entries(operations).flatMap(([method, one]) => {
      const number = methodNumbers[method];
      return number === undefined ? [] : [field(number, operation(one))];
    }),
  );
}

/** Operation: description 3, operation_id 5, parameters 8, responses 9, vendor_extension 13. */
function operation(value: OperationV2): Buffer {
  const responses = Object.entries(value.responses).map(([code, answer]) => {
    const shown = answer.schema ? field(2, message(field(1, schema(answer.schema)))) : empty;
    return field(1, named(code, message(field(1, message(text(1, answer.description), shown)))));
  });
  return message(
    text(3, value.description),
    text(5, value.operationId),
    // ParametersItem.parameter 1, Parameter.non_body_parameter 2, query 3 or path 4.
    ...value.parameters.map((one) => field(8, message(field(1, message(field(2, parameter(one))))))),
    field(9, message(...responses)),
    ...extensions(13, value),
  );
}

/** required 1, in 2, description 3, name 4; the type is 6 of a query and 5 of a path parameter. */
function parameter(value: ParameterV2): Buffer {
  const inQuery = value.in === 'query';
  return message(
    field(
      inQuery ? 3 : 4,
      message(
        flag(1, value.required),
        text(2, value.in),
        text(3, value.description),
        text(4, value.name),
        text(inQuery ? 6 : 5, value.type),
      ),
    ),
  );
}

/** Schema: $ref 1, format 2, description 4, required 19, additional_properties 21, type 22, items 23, properties 25, extensions 31. */
function schema(value: SchemaV2): Buffer {
  const { items, properties, additionalProperties } = value;
  const members = Object.entries(properties ?? {}).map(([name, one]) => field(1, named(name, schema(one))));
  return message(
    text(1, value.$ref),
    text(2, value.format),
    text(4, value.description),
    ...(value.required ?? []).map((name) => text(19, name)),
    additionalProperties ? field(21, message(field(1, schema(additionalProperties)))) : empty,
    value.type ? field(22, message(text(1, value.type))) : empty,
    items ? field(23, message(field(1, schema(items)))) : empty,
    members.length > 0 ? field(25, message(...members)) : empty,
    ...extensions(31, value),
  );
}

/** NamedAny: name 1, value 2; Any: yaml 2, and JSON is YAML. */
function extensions(number: number, value: object): Buffer[] {
  return Object.entries(extensionsOf(value)).map(([name, member]) =>
    field(number, named(name, message(text(2, JSON.stringify(member))))),
  );
}

const empty = Buffer.alloc(0);
const message = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const named = (name: string, value: Buffer): Buffer => message(text(1, name), field(2, value));

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function text(number: number, value: string | undefined): Buffer {
  return value ? field(number, Buffer.from(value)) : empty;
}

function flag(number: number, value: boolean | undefined): Buffer {
  return value ? Buffer.concat([varint(number * 8), varint(1)]) : empty;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}
