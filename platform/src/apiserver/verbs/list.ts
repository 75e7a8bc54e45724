/**
 * GET of a collection. The newest state comes from the cache; pages after the first, and exact versions, from the store's history,
 * so that all pages of one list show the same moment.
 */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { decode } from '../cache/encoding.ts';
import { prefixOf } from '../cache/key.ts';
import { badRequest, expired } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import { type Selection, selectionOf } from '../meta/selection.ts';
import { shownAs } from '../meta/stored-form.ts';
import type { VerbContext } from './context.ts';
import {
  anyRevision,
  checkListQuery,
  decodeContinue,
  encodeContinue,
  type ListQuery,
  parseVersion,
} from './list-options.ts';
import { waitFor } from './wait-for.ts';

export interface ListAnswer {
  /** Frozen. */
  items: Stored[];
  revision: number;
  continue?: string;
  /** Known only where no selector hides items. */
  remaining?: number;
}

export async function list(context: VerbContext, kind: Kind, query: ListQuery): Promise<ListAnswer> {
  checkListQuery(query, false);
  const selection = selectionOf(kind, query);
  const prefix = prefixOf(kind.ref, query.namespace);
  const version = parseVersion(query.resourceVersion);
  if (query.continue) {
    if (version) throw badRequest('specifying resource version is not allowed when using continue');
    const { revision: begun, after } = decodeContinue(query.continue, prefix);
    // A list whose moment is forgotten goes on as of now.
    const revision = begun === anyRevision ? await context.store.revision() : begun;
    return listStored(context, kind, { prefix, selection, limit: query.limit, revision, after });
  }
  const exact = version && (query.resourceVersionMatch === 'Exact' || (query.limit && !query.resourceVersionMatch));
  if (exact) return listStored(context, kind, { prefix, selection, limit: query.limit, revision: version });
  await waitFor(context, version);
  return listCached(context, kind, { prefix, selection, limit: query.limit });
}

interface Page {
  prefix: string;
  selection: Selection;
  limit?: number;
}

function listCached(context: VerbContext, kind: Kind, { prefix, selection, limit }: Page): ListAnswer {
  const { revision } = context.cache;
  const cache = context.cache.kind(kind.ref);
  const items: Stored[] = [];
  let last = '';
  let remaining = 0;
  for (const { key, object: stored } of cache.range(prefix)) {
    const object = shownAs(kind, stored);
    if (!selection.matches(object)) continue;
    if (limit && items.length === limit) remaining += 1;
    else {
      items.push(object);
      last = key;
    }
  }
  if (remaining === 0) return { items, revision };
  const token = encodeContinue({ revision, after: last });
  return { items, revision, continue: token, ...(selection.everything ? { remaining } : {}) };
}

async function listStored(
  context: VerbContext,
  kind: Kind,
  page: Page & { revision: number; after?: string },
): Promise<ListAnswer> {
  const { prefix, selection, limit, revision } = page;
  const items: Stored[] = [];
  let after = page.after;
  for (;;) {
    const stored = await context.store
      .list(prefix, { limit: limit ?? 500, after, revision })
      .catch((error) => explainExpiry(error, page.after));
    for (const [index, { key, value, modRevision }] of stored.entries.entries()) {
      after = key;
      const object = shownAs(kind, decode(value, modRevision));
      if (!selection.matches(object)) continue;
      items.push(object);
      const left = stored.remaining + stored.entries.length - index - 1;
      if (items.length !== limit || left === 0) continue;
      const token = encodeContinue({ revision, after });
      return { items, revision, continue: token, ...(selection.everything ? { remaining: left } : {}) };
    }
    if (!stored.more) return { items, revision };
  }
}

/** After a first page the client is given a way to go on; without one there is nothing to go on with. */
function explainExpiry(error: unknown, after: string | undefined): never {
  if (!isReason(error, 'Expired')) throw error;
  if (after === undefined) throw expired('The resourceVersion for the provided list is too old.');
  throw new SampanError(
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    { continue: encodeContinue({ revision: anyRevision, after }) },
  );
}
