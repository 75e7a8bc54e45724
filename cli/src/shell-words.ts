/** A path as a shell takes it: quoted where it has to be. Pure. */
export const shellWord = (path: string): string =>
  /^[\w./:@%+=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
