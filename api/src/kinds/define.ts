/**
 * Makes a Kind from what is particular to it: structure comes from the schema, and metadata is validated here for all alike.
 */
import type { KubeObject, ResourceRef } from '../client.ts';
import type { Cause } from '../errors.ts';
import { equalJson } from '../json.ts';
import type { Kind, TableColumn, Target } from '../kind.ts';
import { dnsSubdomainProblems } from '../names.ts';
import { checkStructure } from '../schema/check-structure.ts';
import { normalize } from '../schema/normalize.ts';
import { typeNameOf } from '../schema/schema.ts';
import { type NameRule, validateMetadata, validateMetadataUpdate } from './metadata.ts';

export interface KindDefinition<T extends KubeObject> {
  ref: ResourceRef;
  kind: string;
  singular?: string;
  shortNames?: string[];
  categories?: string[];
  subresources?: Target[];
  selectableFields?: Kind<T>['selectableFields'];
  columns: TableColumn[];
  row: Kind<T>['row'];
  /** Default: a DNS subdomain. */
  nameProblems?: NameRule;
  defaults?(object: T): void;
  prepareCreate?(object: T): void;
  prepareUpdate?(object: T, old: T, target: Target): void;
  /** Beyond metadata, on create and (unless `validateUpdate` is there) on update. */
  validate?(object: T): Cause[];
  validateUpdate?(object: T, old: T, target: Target): Cause[];
  gracePeriodSeconds?: Kind<T>['gracePeriodSeconds'];
  prepareDelete?: Kind<T>['prepareDelete'];
  singleDeletes?: boolean;
  showsDeleted?: boolean;
  orphansByDefault?: boolean;
  conditionalUpdates?: boolean;
  extraFinalizers?: Kind<T>['extraFinalizers'];
  scale?: Kind<T>['scale'];
  claims?: Kind<T>['claims'];
  stored?: Kind<T>['stored'];
}

export function defineKind<T extends KubeObject>(definition: KindDefinition<T>): Kind {
  const { ref, kind, nameProblems = dnsSubdomainProblems } = definition;
  const typeName = typeNameOf(ref.group, ref.version, kind);
  const made: Kind<T> = {
    ref,
    kind,
    singular: definition.singular ?? kind.toLowerCase(),
    shortNames: definition.shortNames ?? [],
    categories: definition.categories ?? [],
    subresources: definition.subresources ?? [],
    selectableFields: definition.selectableFields ?? {},
    columns: definition.columns,
    row: definition.row,
    checkStructure: (object) => checkStructure(typeName, object),
    applyDefaults(object) {
      normalize(typeName, object);
      definition.defaults?.(object);
    },
    prepareCreate: (object) => definition.prepareCreate?.(object),
    prepareUpdate: (object, old, target) => definition.prepareUpdate?.(object, old, target),
    validateCreate: (object) => [
      ...validateMetadata(object.metadata, { namespaced: ref.namespaced, nameProblems, qualifiedFinalizers: true }),
      ...(definition.validate?.(object) ?? []),
    ],
    validateUpdate: (object, old, target) => [
      ...validateMetadataUpdate(object.metadata, old.metadata),
      ...(definition.validateUpdate?.(object, old, target) ?? definition.validate?.(object) ?? []),
    ],
    ...(definition.gracePeriodSeconds && { gracePeriodSeconds: definition.gracePeriodSeconds }),
    ...(definition.singleDeletes && { singleDeletes: true }),
    ...(definition.showsDeleted && { showsDeleted: true }),
    ...(definition.orphansByDefault && { orphansByDefault: true }),
    ...(definition.conditionalUpdates && { conditionalUpdates: true }),
    ...(definition.prepareDelete && { prepareDelete: definition.prepareDelete }),
    ...(definition.extraFinalizers && { extraFinalizers: definition.extraFinalizers }),
    ...(definition.scale && { scale: definition.scale }),
    ...(definition.claims && { claims: definition.claims }),
    ...(definition.stored && { stored: definition.stored }),
  };
  // The server hands each kind only its own objects, so the wider type is safe.
  return made as unknown as Kind;
}

interface WithSpecAndStatus extends KubeObject {
  spec?: unknown;
  status?: unknown;
}

/** The usual rule: status is written through its subresource alone, and everything but status never is. */
export function splitSpecAndStatus(object: WithSpecAndStatus, old: WithSpecAndStatus, target: Target): void {
  if (target === 'status') take(object, old, 'spec');
  else take(object, old, 'status');
}

export function take<T extends object, K extends keyof T>(object: T, old: T, field: K): void {
  if (old[field] === undefined) delete object[field];
  else object[field] = structuredClone(old[field]);
}

/** Generation moves when the spec did. */
export function bumpGeneration(object: WithSpecAndStatus, old: WithSpecAndStatus): void {
  if (!object.metadata || equalJson(object.spec, old.spec)) return;
  object.metadata.generation = (old.metadata?.generation ?? 0) + 1;
}
