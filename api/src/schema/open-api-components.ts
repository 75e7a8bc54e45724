/** The schemas of an OpenAPI document: types of generated/schemas.json with their words from generated/descriptions.json. */
import { listStrategy } from '../patch/merge-keys.ts';
import type { Descriptions } from './descriptions.ts';
import { type FieldType, hasStructType, type Scalar, structType, typeNameOf } from './schema.ts';

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const intOrString = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';

/** `io.k8s.api.core.v1.Pod` for `core/v1.Pod`. */
export function componentName(typeName: string): string {
  const [group = '', rest = ''] = typeName.split('/');
  return group === 'meta' ? `${meta}.${rest.replace(/^v1\./, '')}` : `io.k8s.api.${group.split('.')[0]}.${rest}`;
}

export const reference = (component: string) => ({ $ref: `#/components/schemas/${component}` });

const scalarComponents: Record<string, object> = {
  [`${meta}.Time`]: {
    description: 'A time as RFC 3339 writes it, in whole seconds.',
    type: 'string',
    format: 'date-time',
  },
  [`${meta}.MicroTime`]: { description: 'A time with microseconds.', type: 'string', format: 'date-time' },
  [quantity]: {
    description: 'A number with an optional suffix: n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or a decimal exponent.',
    oneOf: [{ type: 'string' }, { type: 'number' }],
  },
  [intOrString]: {
    description: 'A number or a string, such as a port or its name.',
    format: 'int-or-string',
    oneOf: [{ type: 'integer' }, { type: 'string' }],
  },
};

const scalarSchemas: Record<Scalar, object> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  time: reference(`${meta}.Time`),
  microtime: reference(`${meta}.MicroTime`),
  quantity: reference(quantity),
  intorstr: reference(intOrString),
  any: { type: 'object' },
};

/** Collects the schemas that a document refers to. */
export class SchemaComponents {
  readonly schemas: Record<string, object> = { ...scalarComponents };
  readonly #words: Descriptions;

  constructor(words: Descriptions) {
    this.#words = words;
  }

  addKind(gvk: GroupVersionKind): void {
    const { group, version, kind } = gvk;
    const typeName = typeNameOf(group, version, kind);
    const name = componentName(typeName);
    if (hasStructType(typeName)) this.#addStruct(typeName);
    else {
      // An early version, served for old clients in the form that became v1.
      this.schemas[name] = { ...this.schemas[this.#addStruct(typeNameOf(group, 'v1', kind))] };
    }
    Object.assign(this.schemas[name]!, { 'x-kubernetes-group-version-kind': [gvk] });
  }

  /** A kind whose schema is not one of ours; it may refer to ObjectMeta. */
  addCustom(component: string, schema: object, gvk: GroupVersionKind): void {
    this.#addStruct('meta/v1.ObjectMeta');
    this.schemas[component] = { ...schema, 'x-kubernetes-group-version-kind': [gvk] };
  }

  /** `item` is the component of the kind itself. */
  addList(item: string, { group, version, kind }: GroupVersionKind): void {
    this.schemas[`${item}List`] = {
      description: `${kind}List is a list of objects of kind ${kind}.`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { allOf: [reference(this.#addStruct('meta/v1.ListMeta'))], default: {} },
        items: { type: 'array', items: { allOf: [reference(item)], default: {} } },
      },
      'x-kubernetes-group-version-kind': [{ group, version, kind: `${kind}List` }],
    };
  }

  #addStruct(typeName: string): string {
    const name = componentName(typeName);
    if (this.schemas[name]) return name;
    const { fields, required } = structType(typeName);
    const properties: Record<string, object> = {};
    const schema: Record<string, unknown> = {
      description: this.#words[typeName]?.[''] ?? '',
      type: 'object',
      properties,
    };
    if (required.size > 0) schema.required = [...required];
    this.schemas[name] = schema;
    for (const [field, type] of fields) properties[field] = this.#property(typeName, field, type);
    return name;
  }

  #property(owner: string, field: string, type: FieldType): object {
    const described = this.#words[owner]?.[field];
    const description = described || (type.form === 'struct' ? this.#words[type.name]?.[''] : undefined);
    const schema = this.#schemaOf(type);
    const whole = '$ref' in schema ? { allOf: [schema] } : schema;
    return { ...(description && { description }), ...whole, ...patchExtensions(owner, field) };
  }

  #schemaOf(type: FieldType): object {
    if (type.form === 'scalar') return scalarSchemas[type.scalar];
    if (type.form === 'struct') return reference(this.#addStruct(type.name));
    const inner = this.#schemaOf(type.of);
    const element = type.of.form === 'struct' ? { allOf: [inner], default: {} } : inner;
    return type.form === 'array'
      ? { type: 'array', items: element }
      : { type: 'object', additionalProperties: element };
  }
}

function patchExtensions(owner: string, field: string): object {
  const strategy = listStrategy(owner, field);
  if (!strategy) return {};
  return {
    ...(strategy.mergeKey && { 'x-kubernetes-patch-merge-key': strategy.mergeKey }),
    'x-kubernetes-patch-strategy': strategy.retainKeys ? 'merge,retainKeys' : 'merge',
  };
}
