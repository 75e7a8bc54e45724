/** Validation of one version of a CustomResourceDefinition: its schema, columns, subresources and selectable fields. */
import type { Cause } from '../errors.ts';
import { checkEnum, duplicate, invalid, invalidFor, required, tooMany } from '../field-errors.ts';
import { type CustomSchema, memberSchema } from './custom-schema.ts';
import type { VersionSpec } from './definition-types.ts';
import { dns1035Problems } from './dns-1035.ts';
import { type JsonPath, parseJsonPath } from './json-path.ts';
import { structuralProblems } from './structural.ts';

const columnTypes = ['integer', 'number', 'string', 'boolean', 'date'];
const columnFormats = ['int32', 'int64', 'float', 'double', 'byte', 'date', 'date-time', 'password'];
const maxSelectableFields = 8;

export function versionProblems(version: VersionSpec, field: string): Cause[] {
  const schema = version.schema?.openAPIV3Schema;
  const causes = version.name
    ? invalidFor(`${field}.name`, version.name, dns1035Problems(version.name))
    : [required(`${field}.name`)];
  if (schema) causes.push(...structuralProblems(schema, `${field}.schema.openAPIV3Schema`));
  else causes.push(required(`${field}.schema.openAPIV3Schema`, 'schemas are required'));
  if (version.deprecationWarning !== undefined && !version.deprecated) {
    causes.push(
      invalid(`${field}.deprecationWarning`, version.deprecationWarning, 'can only be set for deprecated versions'),
    );
  }
  causes.push(...columnProblems(version, `${field}.additionalPrinterColumns`));
  causes.push(...scaleProblems(version, `${field}.subresources.scale`));
  if (schema) causes.push(...selectableProblems(version, schema, `${field}.selectableFields`));
  return causes;
}

function columnProblems({ additionalPrinterColumns = [] }: VersionSpec, field: string): Cause[] {
  return additionalPrinterColumns.flatMap(({ name, type, format, jsonPath }, i) => {
    const at = `${field}[${i}]`;
    const causes = name ? [] : [required(`${at}.name`)];
    causes.push(...checkEnum(`${at}.type`, type, columnTypes));
    if (format) causes.push(...checkEnum(`${at}.format`, format, columnFormats));
    return [...causes, ...pathProblems(jsonPath, `${at}.jsonPath`).causes];
  });
}

function pathProblems(text: string | undefined, field: string): { causes: Cause[]; path?: JsonPath } {
  if (!text) return { causes: [required(field)] };
  try {
    return { causes: [], path: parseJsonPath(text) };
  } catch (error) {
    return { causes: [invalid(field, text, (error as Error).message)] };
  }
}

function scaleProblems({ subresources }: VersionSpec, field: string): Cause[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  const causes = [
    ...underProblems(scale.specReplicasPath, `${field}.specReplicasPath`, ['spec']),
    ...underProblems(scale.statusReplicasPath, `${field}.statusReplicasPath`, ['status']),
  ];
  if (!scale.labelSelectorPath) return causes;
  return [...causes, ...underProblems(scale.labelSelectorPath, `${field}.labelSelectorPath`, ['spec', 'status'])];
}

/** A path of members alone, beneath one of `roots`. */
function underProblems(text: string | undefined, field: string, roots: string[]): Cause[] {
  const { causes, path } = pathProblems(text, field);
  if (!path) return causes;
  const [root = '', ...rest] = path.members ?? [];
  if (roots.includes(root) && rest.length > 0) return [];
  const under = roots.map((one) => `.${one}`).join(' or ');
  return [invalid(field, text, `should be a json path under ${under}`)];
}

function selectableProblems({ selectableFields = [] }: VersionSpec, schema: CustomSchema, field: string): Cause[] {
  if (selectableFields.length > maxSelectableFields) {
    return [tooMany(field, selectableFields.length, maxSelectableFields)];
  }
  const paths = selectableFields.map(({ jsonPath }) => jsonPath);
  return paths.flatMap((text, i) => {
    const at = `${field}[${i}].jsonPath`;
    const { causes, path } = pathProblems(text, at);
    if (!path) return causes;
    if (paths.indexOf(text) < i) return [duplicate(at, text)];
    if (!path.members) return [invalid(at, text, 'is an invalid path: only members may be named')];
    if (path.members[0] === 'metadata') return [invalid(at, text, 'must not point to fields in metadata')];
    const found = path.members.reduce<CustomSchema | undefined | 'unknown'>(
      (of, name) => (typeof of === 'object' ? memberSchema(of, name) : undefined),
      schema,
    );
    const type = typeof found === 'object' ? found.type : undefined;
    if (type && ['string', 'integer', 'boolean'].includes(type)) return [];
    return [invalid(at, text, 'must point to a field of type string, boolean or integer')];
  });
}
