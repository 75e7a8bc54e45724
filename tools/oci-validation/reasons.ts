/** Why a validation program does not pass over us where it does over crun. The page is not written while one is missing. */
export const reasons: Record<string, string> = {};
