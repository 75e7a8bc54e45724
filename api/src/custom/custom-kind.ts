/**
 * Kinds out of CustomResourceDefinitions: one for each served version. Objects are stored as the storage version has them and shown in the
 * version asked for, with that version's defaults (conversion `None`).
 */
import type { KubeObject } from '../client.ts';
import { cloneJson, equalJson, isJsonObject } from '../json.ts';
import type { Kind, Target } from '../kind.ts';
import { bumpGeneration, take } from '../kinds/define.ts';
import { validateMetadata, validateMetadataUpdate } from '../kinds/metadata.ts';
import { dnsSubdomainProblems } from '../names.ts';
import { checkStructure } from '../schema/check-structure.ts';
import { normalize } from '../schema/normalize.ts';
import { printerColumns } from './columns.ts';
import type { CustomSchema } from './custom-schema.ts';
import type { CustomResourceDefinition, VersionSpec } from './definition-types.ts';
import { fillDefaults, hasDefaults } from './fill-defaults.ts';
import { parseJsonPath } from './json-path.ts';
import { prune, unknownFields } from './prune.ts';
import { resourceSchema } from './resource-schema.ts';
import { validateValue } from './validate-value.ts';
import { inVersionOrder } from './version-order.ts';

/** The kinds a valid definition stands for, the most stable version first. */
export function customKinds(definition: CustomResourceDefinition): Kind[] {
  const { versions } = definition.spec;
  const stored = versions.find(({ storage }) => storage);
  if (!stored) return [];
  return inVersionOrder(versions.filter(({ served }) => served)).map((version) =>
    customKind(definition, version, stored.name),
  );
}

/** The kind in the version its objects are stored in, whether that is served or not. Throws RangeError where there is none. */
export function storageKind(definition: CustomResourceDefinition): Kind {
  const stored = definition.spec.versions.find(({ storage }) => storage);
  if (!stored) throw new RangeError(`${definition.metadata?.name} has no storage version`);
  return customKind(definition, stored, stored.name);
}

function customKind({ spec }: CustomResourceDefinition, version: VersionSpec, storedVersion: string): Kind {
  const { names, group } = spec;
  const schema: CustomSchema = version.schema?.openAPIV3Schema ?? { type: 'object' };
  const namespaced = spec.scope === 'Namespaced';
  const { status, scale } = version.subresources ?? {};
  const subresources: Target[] = [...(status ? (['status'] as const) : []), ...(scale ? (['scale'] as const) : [])];
  const apiVersion = `${group}/${version.name}`;
  const applyDefaults = (object: KubeObject) => {
    prune(object, schema);
    if (object.metadata) normalize('meta/v1.ObjectMeta', object.metadata);
    fillDefaults(object, schema);
  };
  return {
    ref: { group, version: version.name, resource: names.plural, namespaced },
    kind: names.kind,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    subresources,
    selectableFields: selectableFields(version),
    ...printerColumns(version),
    checkStructure(object) {
      const metadata = checkMetadata(object);
      return { ...metadata, unknownFields: [...metadata.unknownFields, ...unknownFields(object, schema)] };
    },
    applyDefaults,
    prepareCreate(object) {
      if (object.metadata) object.metadata.generation = 1;
      if (status) delete (object as WithStatus).status;
    },
    prepareUpdate: (object, old, target) => (status ? split(object, old, target) : moveGeneration(object, old, false)),
    validateCreate: (object) => [
      ...validateMetadata(object.metadata, { namespaced, nameProblems: dnsSubdomainProblems }),
      ...validateValue(object, schema),
    ],
    validateUpdate: (object, old) => [
      ...validateMetadataUpdate(object.metadata, old.metadata),
      ...validateValue(object, schema, '', { value: old }),
    ],
    stored: storedForm({
      apiVersion,
      storedVersion: `${group}/${storedVersion}`,
      fill: hasDefaults(schema) ? (object) => fillDefaults(object, schema) : undefined,
    }),
    ...(scale && {
      scale: {
        specReplicas: scale.specReplicasPath,
        statusReplicas: scale.statusReplicasPath,
        ...(scale.labelSelectorPath && { labelSelector: scale.labelSelectorPath }),
      },
    }),
    conditionalUpdates: true,
    openApiSchema: resourceSchema(schema),
  };
}

function selectableFields({ selectableFields = [] }: VersionSpec): Kind['selectableFields'] {
  const readers = selectableFields.map(({ jsonPath }) => {
    const path = parseJsonPath(jsonPath);
    const read = (object: KubeObject) => String(path.find(object)[0] ?? '');
    return [jsonPath.replace(/^\./, ''), read] as const;
  });
  return Object.fromEntries(readers);
}

/** Of metadata, the only part that has a Go type; the rest is held against the schema, which answers Invalid. */
function checkMetadata(object: unknown): ReturnType<Kind['checkStructure']> {
  const metadata = isJsonObject(object) ? object.metadata : undefined;
  if (metadata === undefined || metadata === null) return { wrongTypes: [], unknownFields: [] };
  const { wrongTypes, unknownFields } = checkStructure('meta/v1.ObjectMeta', metadata);
  return { wrongTypes, unknownFields: unknownFields.map((path) => `metadata.${path}`) };
}

type WithStatus = KubeObject & { status?: unknown; spec?: unknown };

/** With a status subresource: it alone writes status, and writes nothing else. */
function split(object: WithStatus, old: WithStatus, target: Target): void {
  if (target !== 'status') {
    take(object, old, 'status');
    moveGeneration(object, old, true);
    return;
  }
  const { status } = object;
  for (const name of Object.keys(object)) delete (object as Record<string, unknown>)[name];
  Object.assign(object, cloneJson(old));
  if (status === undefined) delete object.status;
  else object.status = status;
}

/** Everything but metadata counts as specification, and status only where it has no subresource of its own. */
function moveGeneration(object: WithStatus, old: WithStatus, hasStatus: boolean): void {
  const specified = ({ metadata: _, status, ...rest }: WithStatus) => ({
    spec: hasStatus ? rest : { ...rest, status },
  });
  bumpGeneration({ ...specified(object), metadata: object.metadata }, { ...specified(old), metadata: old.metadata });
}

interface StoredForm {
  apiVersion: string;
  storedVersion: string;
  /** Gives an object what was not yet defaulted when it was stored; absent where there are no defaults. */
  fill: ((object: KubeObject) => void) | undefined;
}

/** A stored object is shown often and changes seldom: what was made of it is remembered as long as it is. */
function storedForm({ apiVersion, storedVersion, fill }: StoredForm): NonNullable<Kind['stored']> {
  const shown = new WeakMap<KubeObject, KubeObject>();
  const make = (object: KubeObject): KubeObject => {
    const filled = fill && cloneJson(object);
    if (filled) fill(filled);
    const base = filled && !equalJson(filled, object) ? deepFreeze(filled) : object;
    return base.apiVersion === apiVersion ? base : Object.freeze({ ...base, apiVersion });
  };
  return {
    read(object) {
      let found = shown.get(object);
      if (!found) {
        found = make(object);
        shown.set(object, found);
      }
      return found;
    },
    write: (object) => (object.apiVersion === storedVersion ? object : { ...object, apiVersion: storedVersion }),
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
