/** Objects between the store and a kind's version: only kinds of several versions have two forms (Kind.stored). */
import type { Kind } from '@sampan/api/kind.ts';
import type { Stored } from './object.ts';

/** A frozen object out of the store or the cache as the kind's version shows it, frozen. */
export function shownAs(kind: Kind, object: Stored): Stored {
  return kind.stored ? (kind.stored.read(object) as Stored) : object;
}

/** What is stored of an object of the kind's version. */
export function storedAs(kind: Kind, object: Stored): Stored {
  return kind.stored ? (kind.stored.write(object) as Stored) : object;
}
