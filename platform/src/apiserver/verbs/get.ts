/** GET of one object. */
import { notFound } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import { type Place, read, readFresh, type VerbContext } from './context.ts';
import { parseVersion } from './list-options.ts';
import { waitFor } from './wait-for.ts';

/** Frozen. `resourceVersion` '0' takes what the cache has; anything else what is committed now, which must not be older than it. */
export async function get(context: VerbContext, place: Place, resourceVersion?: string): Promise<Stored> {
  const version = parseVersion(resourceVersion);
  if (version) await waitFor(context, version);
  const object = resourceVersion === '0' ? read(context, place) : await readFresh(context, place);
  if (!object) throw notFound(place.kind.ref, place.name);
  return object;
}
