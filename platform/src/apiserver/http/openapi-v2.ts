/** OpenAPI v2 out of the v3 documents: what kubectl up to 1.28 reads before `apply` and `explain`. */
import type { OpenApiDocument } from '@sampan/api/schema/open-api.ts';
import { extensionsOf, type SchemaV2, type SchemaV3, schemaV2 } from './openapi-v2-schema.ts';

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
