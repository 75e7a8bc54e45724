/** A custom kind's schema as OpenAPI v3 has it: with the fields that every resource has, and the extensions left in. */
import { type CustomSchema, itemsOf } from './custom-schema.ts';

const meta = '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

const resourceProperties = {
  apiVersion: {
    type: 'string',
    description: 'APIVersion defines the version of the schema that this object is written in.',
  },
  kind: { type: 'string', description: 'Kind is what this object is: the name of its kind.' },
  metadata: { description: "Standard object's metadata.", allOf: [{ $ref: meta }] },
};

/** Refers to ObjectMeta, which the document has to hold. */
export function resourceSchema(schema: CustomSchema): object {
  return { ...embedded(schema), properties: { ...embedded(schema).properties, ...resourceProperties } };
}

function embedded(schema: CustomSchema): CustomSchema {
  const { properties, additionalProperties: more } = schema;
  const items = itemsOf(schema);
  const own = properties && Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, embedded(of)]));
  const whole = schema['x-kubernetes-embedded-resource'] ? { ...own, ...resourceProperties } : own;
  return {
    ...schema,
    ...(whole && { properties: whole as CustomSchema['properties'] }),
    ...(typeof more === 'object' && { additionalProperties: embedded(more) }),
    ...(items && { items: embedded(items) }),
  };
}
