/**
 * What the API server knows of a kind: a description and a strategy, never a code path of its own.
 * One file per kind under kinds/ makes one of these; kinds/all.ts lists them.
 */
import type { KubeObject, ResourceRef } from './client.ts';
import type { Cause } from './errors.ts';

/** meta.k8s.io/v1 TableColumnDefinition. */
export interface TableColumn {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  format: string;
  description: string;
  /** 0: always shown; 1: with -o wide. */
  priority: number;
}

/** What a write aims at: the object itself, or one of its subresources. */
export type Target =
  | 'object'
  | 'status'
  | 'ephemeralcontainers'
  | 'resize'
  | 'approval'
  | 'scale'
  | 'token'
  | 'finalize';

/** Where the `scale` subresource finds its numbers: simple JSON paths such as `.spec.replicas`. */
export interface ScalePaths {
  specReplicas: string;
  statusReplicas: string;
  /** Leads to a LabelSelector (shown as text) or to a text that is one already; absent: none is shown. */
  labelSelector?: string;
}

export interface Kind<T extends KubeObject = KubeObject> {
  ref: ResourceRef;
  kind: string;
  singular: string;
  shortNames: string[];
  categories: string[];
  /** Subresources that are a view of the stored object and take get/update/patch. */
  subresources: Target[];
  /** Field selectors beyond metadata.name and metadata.namespace: field path to its value. */
  selectableFields: Record<string, (object: T) => string>;
  columns: TableColumn[];
  /** One row's cells, in the order of `columns`. */
  row(object: T, nowMs: number): (string | number | boolean | null)[];
  /**
   * Structure: `wrongTypes` are messages as the Go decoder would put them (answer 400), `unknownFields` are paths such as
   * `spec.containers[0].imagee` (400 under strict, warnings under warn).
   */
  checkStructure(object: unknown): { wrongTypes: string[]; unknownFields: string[] };
  /** Fills Kubernetes' defaults in place. Idempotent. */
  applyDefaults(object: T): void;
  /** In place, before validation: what the strategy resets or sets on create (status, generation). */
  prepareCreate(object: T): void;
  /** In place: what an update to `target` may not change is taken from `old`; generation moves when the spec did. */
  prepareUpdate(object: T, old: T, target: Target): void;
  /** Empty when valid. Messages and fields as kube-apiserver's (apis/<group>/validation). */
  validateCreate(object: T): Cause[];
  validateUpdate(object: T, old: T, target: Target): Cause[];
  /**
   * Seconds between a delete and the end, for kinds that somebody has to wind down first (Pod: CheckGracefulDelete of its strategy).
   * `requested` is what the caller asked for. 0: at once. Absent: the kind has no grace, ever.
   */
  gracePeriodSeconds?(object: T, requested: number | undefined): number;
  /** A DELETE that ends an object answers with it, not with a Status. */
  showsDeleted?: boolean;
  /** Objects go one by one: the collection takes no DELETE, as that of Namespace does not. */
  singleDeletes?: boolean;
  /** A DELETE that says nothing of dependents leaves them, as batch/v1's Job did before there was garbage collection. */
  orphansByDefault?: boolean;
  /** In place, when a deletionTimestamp is first set: Namespace turns Terminating. */
  prepareDelete?(object: T): void;
  /**
   * Names that one object alone may hold in the whole API, such as a Service's address: `<what>/<name>`, of the characters of a
   * store key. Taken and given back in the very store write that writes the object.
   */
  claims?(object: T): string[];
  /** What keeps a deleted object beside metadata.finalizers: Namespace's spec.finalizers. */
  extraFinalizers?(object: T): string[];
  /** Present exactly where `subresources` has 'scale'. */
  scale?: ScalePaths;
  /**
   * For a kind that is served in several versions and stored in one: a stored object (frozen) as this version shows it, frozen again,
   * and the way back.
   */
  stored?: { read(object: T): T; write(object: T): T };
  /** An update must say which resourceVersion it is of. */
  conditionalUpdates?: boolean;
  /** The kind's OpenAPI v3 schema, where it is not one of generated/schemas.json. */
  openApiSchema?: object;
}
