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
import type { Shown } from '../meta/shown.ts';
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

export interface ListAnswer<T = Stored> {
  /** Objects are frozen. */
  items: T[];
  revision: number;
  continue?: string;
  /** Known only where no selector hides items. */
  remaining?: number;
}

export function list(context: VerbContext, kind: Kind, query: ListQuery): Promise<ListAnswer> {
  return listAs(context, kind, query, ({ object }) => object);
}

/** `take` is called with each item that is part of the answer, in order, and says what is to stand for it. */
export async function listAs<T>(
  context: VerbContext,
  kind: Kind,
  query: ListQuery,
  take: (shown: Shown) => T,
): Promise<ListAnswer<T>> {
  checkListQuery(query, false);
  const prefix = prefixOf(kind.ref, query.namespace);
  const page = { kind, take, prefix, selection: selectionOf(kind, query), limit: query.limit };
  const version = parseVersion(query.resourceVersion);
  if (query.continue) {
    if (version) throw badRequest('specifying resource version is not allowed when using continue');
    const { revision: begun, after } = decodeContinue(query.continue, prefix);
    // A list whose moment is forgotten goes on as of now.
    const revision = begun === anyRevision ? await context.store.revision() : begun;
    return listStored(context, { ...page, revision, after });
  }
  const exact = version && (query.resourceVersionMatch === 'Exact' || (query.limit && !query.resourceVersionMatch));
  if (exact) return listStored(context, { ...page, revision: version });
  await waitFor(context, version);
  return listCached(context, page);
}

interface Page<T> {
  kind: Kind;
  prefix: string;
  selection: Selection;
  limit?: number;
  take(shown: Shown): T;
}

function listCached<T>(context: VerbContext, { kind, take, prefix, selection, limit }: Page<T>): ListAnswer<T> {
  const { revision } = context.cache;
  const cache = context.cache.kind(kind.ref);
  const items: T[] = [];
  let last = '';
  let remaining = 0;
  for (const item of cache.range(prefix)) {
    const shown = kind.stored ? { object: shownAs(kind, item.object) } : item;
    if (!selection.everything && !selection.matches(shown.object)) continue;
    if (limit && items.length === limit) {
      remaining = 1;
      break;
    }
    items.push(take(shown));
    last = item.key;
  }
  if (remaining === 0) return { items, revision };
  const token = encodeContinue({ revision, after: last });
  if (!selection.everything) return { items, revision, continue: token };
  return { items, revision, continue: token, remaining: cache.count(prefix, last) };
}

async function listStored<T>(
  context: VerbContext,
  page: Page<T> & { revision: number; after?: string },
): Promise<ListAnswer<T>> {
  const { kind, take, prefix, selection, limit, revision } = page;
  const items: T[] = [];
  let after = page.after;
  for (;;) {
    const stored = await context.store
      .list(prefix, { limit: limit ?? 500, after, revision })
      .catch((error) => explainExpiry(error, page.after));
    for (const [index, { key, value, modRevision }] of stored.entries.entries()) {
      after = key;
      const object = shownAs(kind, decode(value, modRevision));
      if (!selection.matches(object)) continue;
      items.push(take({ object }));
      const left = stored.remaining + stored.entries.length - index - 1;
      if (items.length !== limit || left === 0) continue;
      const token = encodeContinue({ revision, after });
      return { items, revision, continue: token, ...(selection.everything ? { remaining: left } : {}) };
    }
    if (!stored.more) return { items, revision };
  }
}

/** As the answer says it of itself. */
export function listMetadata({ revision, continue: token, remaining }: Omit<ListAnswer, 'items'>) {
  return {
    resourceVersion: String(revision),
    ...(token ? { continue: token } : {}),
    ...(remaining ? { remainingItemCount: remaining } : {}),
  };
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
