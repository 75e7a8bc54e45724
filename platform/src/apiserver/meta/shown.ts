/** An object on its way to a client. */
import type { Stored } from './object.ts';

export interface Shown {
  /** Frozen. */
  readonly object: Stored;
  /** The same as JSON, where it is at hand. To be copied at once. */
  readonly json?: Buffer;
}
