/** DELETE of a collection: each selected object on its own, as a client could have done it. */
import type { DeleteOptions } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Caller, VerbContext } from './context.ts';
import { deleteObject, warnOfOrphans } from './delete.ts';
import { type ListAnswer, list } from './list.ts';
import type { ListQuery } from './list-options.ts';

export interface DeleteCollectionRequest {
  kind: Kind;
  query: ListQuery;
  options: DeleteOptions;
  caller: Caller;
}

const workers = 16;

/** What was selected. Objects that somebody else removed meanwhile are no error. */
export async function deleteCollection(context: VerbContext, request: DeleteCollectionRequest): Promise<ListAnswer> {
  const { kind, query, options, caller } = request;
  warnOfOrphans(kind, options, caller);
  const selected = await list(context, kind, query);
  const left = selected.items.values();
  const worker = async () => {
    for (const { metadata } of left) {
      const place = { kind, namespace: metadata.namespace, name: metadata.name ?? '' };
      await deleteObject(context, { place, options, caller }).catch((error: unknown) => {
        if (!isReason(error, 'NotFound')) throw error;
      });
    }
  };
  // Side by side, so that the store can make many deletions durable at once.
  await Promise.all(Array.from({ length: workers }, worker));
  return selected;
}
