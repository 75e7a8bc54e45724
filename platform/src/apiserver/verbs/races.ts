/** Optimistic writes: commit only if the object is still as it was read, and read again when somebody was faster. */
import { isReason } from '@sampan/api/errors.ts';
import type { Write } from '../../store/store.ts';
import { encode } from '../cache/encoding.ts';
import { keyOf } from '../cache/key.ts';
import { conflict, notFound } from '../meta/failures.ts';
import { type Stored, withVersion } from '../meta/object.ts';
import { storedAs } from '../meta/stored-form.ts';
import { claimWrites } from './claims.ts';
import { type Place, readFresh, type VerbContext } from './context.ts';

/** After so many lost races the caller is told Conflict. */
const maxAttempts = 10;

/** Thrown by `put` and `remove` when another writer was faster; a client's own stale version is Conflict at once. */
class LostRace extends Error {}

/** Runs `attempt` on the object as it stands until it wins. Throws NotFound when there is none. */
export async function withCurrent<T>(
  context: VerbContext,
  place: Place,
  attempt: (current: Stored) => Promise<T>,
): Promise<T> {
  const { kind, name } = place;
  for (let tries = 1; ; tries++) {
    const current = await readFresh(context, place);
    if (!current) throw notFound(kind.ref, name);
    try {
      return await attempt(current);
    } catch (error) {
      if (!(error instanceof LostRace)) throw error;
      if (tries === maxAttempts) throw conflict(kind.ref, name);
    }
  }
}

interface Step {
  /** As it was read. */
  from: Stored;
  to: Stored;
  /** Written in the same transaction. */
  alongside?: Write[];
}

/** Only within withCurrent. Returns `to` under its new version. */
export async function put(context: VerbContext, place: Place, step: Step): Promise<Stored> {
  return withVersion(step.to, await commit(context, place, step, step.to));
}

/** Only within withCurrent: `to` is what it was last. Returns that under the version of its deletion. */
export async function remove(context: VerbContext, place: Place, step: Step): Promise<Stored> {
  return withVersion(step.to, await commit(context, place, step, undefined));
}

async function commit(context: VerbContext, place: Place, step: Step, next: Stored | undefined) {
  const { from, alongside = [] } = step;
  const key = keyOf(place.kind.ref, place.name, place.namespace);
  const write = {
    key,
    value: next && encode(storedAs(place.kind, next)),
    expect: Number(from.metadata.resourceVersion),
  };
  try {
    return await context.store.commit([write, ...claimWrites(place.kind, key, next, from), ...alongside]);
  } catch (error) {
    throw isReason(error, 'Conflict') ? new LostRace() : error;
  }
}
