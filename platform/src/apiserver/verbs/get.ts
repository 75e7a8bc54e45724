/** GET of one object. */
import { notFound } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import { type Place, read, readFresh, type VerbContext } from './context.ts';

/** Frozen. `resourceVersion` '0' takes what the cache has; anything else what is committed now. */
export async function get(context: VerbContext, place: Place, resourceVersion?: string): Promise<Stored> {
  const object = resourceVersion === '0' ? read(context, place) : await readFresh(context, place);
  if (!object) throw notFound(place.kind.ref, place.name);
  return object;
}
