/** Objects as clients asked to see them: as they are, as Table rows, or metadata alone. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { apiVersionOf } from './kinds.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

interface ListMeta {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

/** `columns` are left out of all but the first event of a watch. */
export interface TableOptions {
  kind: Pick<Kind, 'columns' | 'row'>;
  version: string;
  include: IncludeObject;
  nowMs: number;
  columns: boolean;
}

export function table(objects: readonly KubeObject[], metadata: ListMeta, options: TableOptions): object {
  const { kind, version, include, nowMs, columns } = options;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    ...(columns ? { columnDefinitions: kind.columns } : {}),
    rows: objects.map((object) => ({
      cells: kind.row(object, nowMs),
      ...(include === 'None' ? {} : { object: include === 'Object' ? object : partial(object, version) }),
    })),
  };
}

export function partial(object: KubeObject, version = 'v1'): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

export function partialList(objects: readonly KubeObject[], metadata: ListMeta, version = 'v1'): object {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    items: objects.map((object) => partial(object, version)),
  };
}

export function plainList(kind: Pick<Kind, 'kind' | 'ref'>, items: readonly KubeObject[], metadata: ListMeta): object {
  return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind.ref), metadata, items };
}
