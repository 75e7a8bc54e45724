/**
 * WATCH: what a subscriber to the cache is told, after selection. An object that stops matching is told as DELETED and one that
 * starts to match as ADDED, so that a watcher's picture is always what a list would show.
 */
import type { Kind } from '@sampan/api/kind.ts';
import { prefixOf } from '../cache/key.ts';
import type { Change } from '../cache/kind-cache.ts';
import type { Chunk } from '../http/chunk.ts';
import { deepFreeze, withVersion } from '../meta/object.ts';
import { type Selection, selectionOf } from '../meta/selection.ts';
import type { Shown } from '../meta/shown.ts';
import { shownAs } from '../meta/stored-form.ts';
import type { VerbContext } from './context.ts';
import { checkListQuery, type ListQuery, parseVersion } from './list-options.ts';
import { waitFor } from './wait-for.ts';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** Called synchronously and in order; must not throw. */
export interface WatchSink {
  /** `encoded` is shared by all who are told of the same change: a place for encodings. Absent for initial and synthetic events. */
  event(type: EventType, shown: Shown, encoded?: Map<string, Chunk>): void;
  bookmark(revision: number, endOfInitialEvents: boolean): void;
  /** No more will come. With an error the watcher has to list again. */
  end(error?: Error): void;
}

/** Starts telling `sink`; the result stops it. Throws Expired, BadRequest, Invalid before the first event. */
export async function watch(context: VerbContext, kind: Kind, query: ListQuery, sink: WatchSink): Promise<() => void> {
  checkListQuery(query, true);
  const selection = selectionOf(kind, query);
  const prefix = prefixOf(kind.ref, query.namespace);
  const version = parseVersion(query.resourceVersion);
  const withState = query.sendInitialEvents ?? !version;
  // A version ahead of the cache is simply waited for: nothing before it is told.
  if (withState) await waitFor(context, version);
  const cache = context.cache.kind(kind.ref);
  const start = withState || version === undefined ? context.cache.revision : version;
  if (withState) {
    for (const item of cache.range(prefix)) {
      const shown = kind.stored ? { object: shownAs(kind, item.object) } : item;
      if (selection.everything || selection.matches(shown.object)) sink.event('ADDED', shown);
    }
    if (query.sendInitialEvents) sink.bookmark(start, true);
  }
  return cache.subscribe(start, {
    change(change) {
      if (change.revision > start && change.key.startsWith(prefix)) tell(asShown(kind, change), selection, sink);
    },
    progress(revision) {
      if (query.allowWatchBookmarks && revision >= start) sink.bookmark(revision, false);
    },
    end: (error) => sink.end(error),
  });
}

type Told = Pick<Change, 'object' | 'json' | 'previous' | 'deleted' | 'revision' | 'encoded'>;

/** In another form than the stored one it is another change, whose encodings are not to be shared with the first. */
function asShown(kind: Kind, change: Change): Told {
  if (!kind.stored) return change;
  const { previous, deleted, revision, object: stored } = change;
  const object = shownAs(kind, stored);
  const told = { deleted, revision, object, previous: previous && shownAs(kind, previous) };
  return object === stored
    ? { ...told, json: change.json, encoded: change.encoded }
    : { ...told, json: undefined, encoded: new Map() };
}

function tell(change: Told, selection: Selection, sink: WatchSink): void {
  const { object, previous, deleted, encoded } = change;
  const before = previous !== undefined && selection.matches(previous);
  const after = !deleted && selection.matches(object);
  if (after) sink.event(before ? 'MODIFIED' : 'ADDED', change, encoded);
  else if (before && deleted) sink.event('DELETED', { object }, encoded);
  // The last state the watcher knows, under the version at which it left its sight.
  else if (before) sink.event('DELETED', { object: deepFreeze(withVersion(previous, change.revision)) });
}
