/** OpenAPI v2 out of the v3 documents: what kubectl up to 1.28 reads before `apply` and `explain`. */
import type { OpenApiDocument } from '@sampan/api/schema/open-api.ts';

export interface SchemaV2 {
  $ref?: string;
  description?: string;
  type?: string;
  format?: string;
  required?: string[];
  properties?: Record<string, SchemaV2>;
  items?: SchemaV2;
  additionalProperties?: SchemaV2;
  [extension: `x-${string}`]: unknown;
}

export interface ParameterV2 {
  name: string;
  in: string;
  type: string;
  required?: boolean;
  description?: string;
}

export interface OperationV2 {
  operationId: string;
  description: string;
  parameters: ParameterV2[];
  responses: Record<string, { description: string; schema?: SchemaV2 }>;
  [extension: `x-${string}`]: unknown;
}

export interface DocumentV2 {
  swagger: '2.0';
  info: { title: string; version: string };
  paths: Record<string, Record<string, OperationV2>>;
  definitions: Record<string, SchemaV2>;
}

/** One document of all. */
export function openApiV2(documents: readonly OpenApiDocument[]): DocumentV2 {
  const paths: DocumentV2['paths'] = {};
  const definitions: DocumentV2['definitions'] = {};
  for (const document of documents) {
    for (const [path, operations] of Object.entries(document.paths)) paths[path] = pathItem(operations as PathItemV3);
    for (const [name, schema] of Object.entries(document.components.schemas))
      definitions[name] = schemaV2(schema as SchemaV3);
  }
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: documents[0]?.info.version ?? '' },
    paths,
    definitions,
  };
}

interface ParameterV3 extends Omit<ParameterV2, 'type'> {
  schema?: { type?: string };
}

interface OperationV3 extends Omit<OperationV2, 'parameters' | 'responses'> {
  parameters?: ParameterV3[];
  responses?: Record<string, { description: string; content?: Record<string, { schema?: SchemaV3 }> }>;
}

type PathItemV3 = Record<string, OperationV3> & { parameters?: ParameterV3[] };

interface SchemaV3 extends Omit<SchemaV2, 'properties' | 'items' | 'additionalProperties'> {
  properties?: Record<string, SchemaV3>;
  items?: SchemaV3;
  additionalProperties?: SchemaV3;
  allOf?: SchemaV3[];
  oneOf?: SchemaV3[];
}

function pathItem({ parameters: shared = [], ...operations }: PathItemV3): Record<string, OperationV2> {
  return Object.fromEntries(
    Object.entries(operations).map(([method, operation]) => [method, operationV2(operation as OperationV3, shared)]),
  );
}

function operationV2(operation: OperationV3, shared: ParameterV3[]): OperationV2 {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(({ schema, ...rest }) => ({
    ...rest,
    type: schema?.type ?? 'string',
  }));
  const responses = Object.entries(operation.responses ?? {}).map(([code, { description, content }]) => {
    const schema = content?.['application/json']?.schema;
    return [code, { description, ...(schema ? { schema: schemaV2(schema) } : {}) }];
  });
  return {
    operationId: operation.operationId,
    description: operation.description,
    parameters,
    responses: Object.fromEntries(responses),
    ...extensionsOf(operation),
  };
}

/** v2 has no oneOf, and its references stand alone but for words. */
function schemaV2(schema: SchemaV3): SchemaV2 {
  const { $ref, allOf, oneOf, description, type, format, required } = schema;
  const reference = $ref ?? allOf?.[0]?.$ref;
  const words = description ? { description } : {};
  if (reference)
    return { $ref: reference.replace('#/components/schemas/', '#/definitions/'), ...words, ...extensionsOf(schema) };
  return {
    ...words,
    type: type ?? (oneOf ? 'string' : undefined),
    ...(format ? { format } : {}),
    ...(required ? { required } : {}),
    ...(schema.properties ? { properties: mapValues(schema.properties, schemaV2) } : {}),
    ...(schema.items ? { items: schemaV2(schema.items) } : {}),
    ...(schema.additionalProperties ? { additionalProperties: schemaV2(schema.additionalProperties) } : {}),
    ...extensionsOf(schema),
  };
}

export function extensionsOf(value: object): Record<`x-${string}`, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name.startsWith('x-')));
}

function mapValues<A, B>(from: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]));
}
