/** The rules for x-kubernetes-list-type, x-kubernetes-list-map-keys and x-kubernetes-map-type in a structural schema. */
import type { Cause } from '../errors.ts';
import { forbidden, invalid, notSupported, required } from '../field-errors.ts';
import { type CustomSchema, itemsOf } from './custom-schema.ts';

const listTypes = ['atomic', 'map', 'set'];
const mapTypes = ['atomic', 'granular'];
const scalars = ['string', 'integer', 'number', 'boolean'];

export function checkListType(schema: CustomSchema, field: string): Cause[] {
  const { 'x-kubernetes-list-type': listType, 'x-kubernetes-list-map-keys': keys = [] } = schema;
  const at = `${field}.x-kubernetes-list-type`;
  const atKeys = `${field}.x-kubernetes-list-map-keys`;
  const causes: Cause[] = [];
  if (keys.length > 0 && listType !== 'map') {
    causes.push(invalid(at, listType ?? '', 'must be map if x-kubernetes-list-map-keys is non-empty'));
  }
  if (!listType) return causes;
  if (!listTypes.includes(listType)) return [...causes, notSupported(at, listType, listTypes)];
  if (schema.type !== 'array')
    causes.push(invalid(`${field}.type`, schema.type ?? '', 'must be array if x-kubernetes-list-type is specified'));
  const items = itemsOf(schema);
  if (listType === 'map') causes.push(...keyProblems(items, keys, { field, atKeys }));
  if (listType === 'set' && items) causes.push(...setProblems(items, field));
  return causes;
}

function keyProblems(items: CustomSchema | undefined, keys: string[], at: { field: string; atKeys: string }): Cause[] {
  const { field, atKeys } = at;
  if (keys.length === 0) return [required(atKeys, 'must not be empty if x-kubernetes-list-type is map')];
  if (items?.type !== 'object') {
    return [
      invalid(
        `${field}.items.type`,
        items?.type ?? '',
        'must be object if parent array has x-kubernetes-list-type map',
      ),
    ];
  }
  const causes: Cause[] = [];
  if (new Set(keys).size < keys.length) causes.push(invalid(atKeys, keys, 'must not contain duplicate entries'));
  for (const key of keys) {
    const property = items.properties && Object.hasOwn(items.properties, key) ? items.properties[key] : undefined;
    if (!property) causes.push(invalid(atKeys, key, 'entries must all be names of item properties'));
    else if (!scalars.includes(property.type ?? '')) {
      const detail = 'must be a scalar type if parent array has x-kubernetes-list-type map';
      causes.push(invalid(`${field}.items.properties[${key}].type`, property.type ?? '', detail));
    } else if (!items.required?.includes(key) && property.default === undefined) {
      const detail =
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      causes.push(required(`${field}.items.properties[${key}].default`, detail));
    }
  }
  return causes;
}

function setProblems(items: CustomSchema, field: string): Cause[] {
  const atomicMap = items.type !== 'object' || items['x-kubernetes-map-type'] === 'atomic';
  const atomicList = items.type !== 'array' || [undefined, 'atomic'].includes(items['x-kubernetes-list-type']);
  const causes: Cause[] = [];
  if (!atomicMap) {
    causes.push(
      invalid(
        `${field}.items.x-kubernetes-map-type`,
        items['x-kubernetes-map-type'] ?? '',
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    );
  }
  if (!atomicList) {
    causes.push(
      invalid(
        `${field}.items.x-kubernetes-list-type`,
        items['x-kubernetes-list-type'],
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    );
  }
  if (items.nullable)
    causes.push(forbidden(`${field}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  return causes;
}

export function checkMapType(schema: CustomSchema, field: string): Cause[] {
  const mapType = schema['x-kubernetes-map-type'];
  if (!mapType) return [];
  const at = `${field}.x-kubernetes-map-type`;
  if (!mapTypes.includes(mapType)) return [notSupported(at, mapType, mapTypes)];
  return schema.type === 'object'
    ? []
    : [invalid(`${field}.type`, schema.type ?? '', 'must be object if x-kubernetes-map-type is specified')];
}
