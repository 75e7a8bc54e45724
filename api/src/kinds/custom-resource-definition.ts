/** CustomResourceDefinition: kinds that are made at run time. Its rules are custom/'s; who serves them is the API server's custom/. */
import type { ResourceRef } from '../client.ts';
import { resources } from '../client.ts';
import { validateDefinition, validateDefinitionUpdate } from '../custom/check-definition.ts';
import { checkSchemaParts, forEachSchema } from '../custom/definition-structure.ts';
import type { CustomResourceDefinition } from '../custom/definition-types.ts';
import type { Kind } from '../kind.ts';
import { normalize } from '../schema/normalize.ts';
import { column, nameCell, nameColumn } from './columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from './define.ts';

export const customResourceDefinitions: ResourceRef = resources.customresourcedefinitions;

/** Holds a deleted definition until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

const defined = defineKind<CustomResourceDefinition>({
  ref: customResourceDefinitions,
  kind: 'CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  subresources: ['status'],
  columns: [nameColumn, column('Created At', 'When the definition was created.', { type: 'date' })],
  row: (definition) => [nameCell(definition), String(definition.metadata?.creationTimestamp ?? '')],
  defaults,
  prepareCreate(definition) {
    if (definition.metadata) definition.metadata.generation = 1;
    const stored = definition.spec.versions?.find(({ storage }) => storage)?.name;
    definition.status = { storedVersions: stored ? [stored] : [] };
  },
  prepareUpdate(definition, old, target) {
    splitSpecAndStatus(definition, old, target);
    bumpGeneration(definition, old);
    if (target !== 'status') rememberStorage(definition);
  },
  prepareDelete({ metadata }) {
    if (metadata && !metadata.finalizers?.includes(cleanupFinalizer)) {
      metadata.finalizers = [...(metadata.finalizers ?? []), cleanupFinalizer];
    }
  },
  validate: validateDefinition,
  validateUpdate: validateDefinitionUpdate,
});

/** Parts of a schema that may be a schema or something else (items, additionalProperties) have no type in the generated file. */
export const customResourceDefinitionKind: Kind = {
  ...defined,
  checkStructure(object) {
    const found = defined.checkStructure(object);
    if (found.wrongTypes.length > 0) return found;
    const parts = checkSchemaParts(object);
    return { wrongTypes: parts.wrongTypes, unknownFields: [...found.unknownFields, ...parts.unknownFields] };
  },
};

function defaults({ spec }: CustomResourceDefinition): void {
  const { names } = spec;
  if (names.kind) {
    names.singular ||= names.kind.toLowerCase();
    names.listKind ||= `${names.kind}List`;
  }
  spec.conversion ??= { strategy: 'None' };
  spec.conversion.strategy ||= 'None';
  for (const version of spec.versions ?? []) {
    const schema = version.schema?.openAPIV3Schema;
    if (schema) forEachSchema(schema, (part) => normalize('apiextensions.k8s.io/v1.JSONSchemaProps', part));
  }
}

/** Objects of every version that ever was the stored one may be in the store. */
function rememberStorage({ spec, status }: CustomResourceDefinition): void {
  const stored = spec.versions?.find(({ storage }) => storage)?.name;
  if (!status || !stored || status.storedVersions?.includes(stored)) return;
  status.storedVersions = [...(status.storedVersions ?? []), stored];
}
