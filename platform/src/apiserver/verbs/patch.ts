/** PATCH: the stored object, changed as the patch says, written as an update would be. */

import { SampanError } from '@sampan/api/errors.ts';
import type { Target } from '@sampan/api/kind.ts';
import type { Stored } from '../meta/object.ts';
import type { Caller, Place, VerbContext } from './context.ts';

export interface PatchRequest {
  place: Place;
  target: Target;
  /** The media type of `body`. */
  type: string;
  body: Uint8Array;
  caller: Caller;
}

export async function patch(_context: VerbContext, request: PatchRequest): Promise<Stored> {
  throw new SampanError('UnsupportedMediaType', `no patch type yet, not ${request.type}`);
}
