/** What the file system says, in Sampan's words. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A full disk becomes ResourceExhausted; everything else stays as it is. `doing` says what could not be done. */
export function asDiskError(error: unknown, doing: string): unknown {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code && fullCodes.has(code)) {
      const next = 'free some, or remove images that are not used';
      return new SampanError(
        'ResourceExhausted',
        `${doing}: no space left on disk (${messageOf(cause)}); ${next}`,
        {},
        { cause },
      );
    }
  }
  return error;
}
