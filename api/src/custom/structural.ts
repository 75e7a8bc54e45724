/**
 * Whether a schema is structural and says only what this server does (apiextensions-apiserver pkg/apiserver/schema and apis/apiextensions/validation).
 * CEL rules (x-kubernetes-validations) are refused by name: taking them and not holding objects to them would let in what the author
 * of the definition forbade.
 */
import type { Cause } from '../errors.ts';
import { forbidden, invalid, notSupported, required } from '../field-errors.ts';
import { isJsonObject } from '../json.ts';
import { type CustomSchema, itemsOf, memberPath } from './custom-schema.ts';
import { fillDefaults } from './fill-defaults.ts';
import { patternProblems } from './pattern-problems.ts';
import { unknownFields } from './prune.ts';
import { checkJunctors } from './structural-junctors.ts';
import { checkListType, checkMapType } from './structural-lists.ts';
import { validateValue } from './validate-value.ts';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** Members of JSONSchemaProps that no structural schema may have. */
const foreign = [
  '$ref',
  '$schema',
  'id',
  'additionalItems',
  'definitions',
  'dependencies',
  'patternProperties',
] as const;

/** `field` is where the schema stands in the definition. */
export function structuralProblems(schema: CustomSchema, field: string): Cause[] {
  if (schema.type !== 'object') {
    const detail = 'must be object at the root';
    return [schema.type ? invalid(`${field}.type`, schema.type, detail) : required(`${field}.type`, detail)];
  }
  return [...nodeProblems(schema, field, { isRoot: true }), ...metadataProblems(schema, field)];
}

function nodeProblems(schema: CustomSchema, field: string, { isRoot }: { isRoot: boolean }): Cause[] {
  return [
    ...typeProblems(schema, field, isRoot),
    ...foreignProblems(schema, field),
    ...patternProblems(schema, field),
    ...checkListType(schema, field),
    ...checkMapType(schema, field),
    ...checkJunctors(schema, field),
    ...childProblems(schema, field),
    ...defaultProblems(schema, field, isRoot),
  ];
}

function childProblems(schema: CustomSchema, field: string): Cause[] {
  const inner = { isRoot: false };
  const causes = Object.entries(schema.properties ?? {}).flatMap(([name, of]) =>
    nodeProblems(of, `${field}.properties[${name}]`, inner),
  );
  const more = schema.additionalProperties;
  if (typeof more === 'object') causes.push(...nodeProblems(more, `${field}.additionalProperties`, inner));
  if (schema.properties && more) {
    causes.push(forbidden(`${field}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  if (more === false)
    causes.push(forbidden(`${field}.additionalProperties`, 'additionalProperties cannot be set to false'));
  const items = itemsOf(schema);
  if (items) causes.push(...nodeProblems(items, `${field}.items`, inner));
  else if (schema.type === 'array') causes.push(required(`${field}.items`, 'must be specified'));
  return causes;
}

function typeProblems(schema: CustomSchema, field: string, isRoot: boolean): Cause[] {
  const { type } = schema;
  const intOrString = schema['x-kubernetes-int-or-string'];
  const preserve = schema['x-kubernetes-preserve-unknown-fields'];
  const embedded = schema['x-kubernetes-embedded-resource'];
  const causes: Cause[] = [];
  if (type && !types.includes(type)) causes.push(notSupported(`${field}.type`, type, types));
  if (!type && !intOrString && !preserve) {
    causes.push(
      required(`${field}.type`, `must not be empty for specified ${isRoot ? 'root' : 'object fields or array items'}`),
    );
  }
  if (intOrString && type) {
    causes.push(invalid(`${field}.type`, type, 'must be empty if x-kubernetes-int-or-string is true'));
  }
  if (intOrString && preserve) {
    causes.push(
      forbidden(`${field}.x-kubernetes-preserve-unknown-fields`, 'must be false if x-kubernetes-int-or-string is true'),
    );
  }
  if (preserve === false) {
    causes.push(invalid(`${field}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  if (preserve && type && type !== 'object') {
    causes.push(invalid(`${field}.type`, type, 'must be object if x-kubernetes-preserve-unknown-fields is true'));
  }
  if (embedded && type !== 'object') {
    causes.push(invalid(`${field}.type`, type ?? '', 'must be object if x-kubernetes-embedded-resource is true'));
  }
  if (embedded && !preserve && !schema.properties) {
    causes.push(
      required(
        `${field}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
  }
  return causes;
}

function foreignProblems(schema: CustomSchema, field: string): Cause[] {
  const causes: Cause[] = foreign
    .filter((name) => name in schema)
    .map((name) => forbidden(`${field}.${name}`, `${name} is not supported`));
  if (schema.uniqueItems) {
    causes.push(
      forbidden(
        `${field}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  if (Array.isArray(schema.items))
    causes.push(forbidden(`${field}.items`, 'items must be a schema object and not an array'));
  if (schema['x-kubernetes-validations']?.length) {
    const detail =
      'CEL validation rules are not supported by this server; express the rule in the schema, or remove it';
    causes.push(forbidden(`${field}.x-kubernetes-validations`, detail));
  }
  return causes;
}

/** A default must be what would be stored: of the schema, without unknown fields, complete. */
function defaultProblems(schema: CustomSchema, field: string, isRoot: boolean): Cause[] {
  const value = schema.default;
  if (value === undefined) return [];
  const at = `${field}.default`;
  if (isRoot) return [forbidden(at, 'must not be set at the root')];
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  const unknown = isJsonObject(value) || Array.isArray(value) ? unknownInDefault(value, schema, embedded) : [];
  if (unknown.length > 0) {
    return [invalid(at, 'object', `must not have unknown fields: ${unknown.join(', ')}`)];
  }
  const complete = structuredClone(value);
  fillDefaults(complete, schema, embedded);
  return validateValue(complete, schema, at);
}

function unknownInDefault(value: unknown, schema: CustomSchema, embedded: boolean): string[] {
  const unknown = unknownFields(value, schema);
  // A plain object's apiVersion, kind and metadata are no exception.
  if (embedded || !isJsonObject(value)) return unknown;
  return unknownFields({ value }, { type: 'object', properties: { value: schema } });
}

/** Of metadata a schema may only narrow the name. */
function metadataProblems(schema: CustomSchema, field: string): Cause[] {
  const metadata = schema.properties?.metadata;
  if (!metadata) return [];
  const at = `${field}.properties[metadata]`;
  const causes: Cause[] = Object.keys(metadata.properties ?? {})
    .filter((name) => name !== 'name' && name !== 'generateName')
    .map((name) =>
      forbidden(
        memberPath(at, `properties[${name}]`),
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
  const extra = Object.keys(metadata).filter((name) => !['type', 'description', 'properties'].includes(name));
  if (extra.length > 0) {
    causes.push(
      forbidden(at, 'must not specify anything other than name and generateName, but metadata is implicitly specified'),
    );
  }
  return causes;
}
