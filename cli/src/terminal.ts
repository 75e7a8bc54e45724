/** Whether a command gets the terminal it was asked for with -t. */

/**
 * With -i and no terminal here, none: a terminal's input ends with a key, so the end of a pipe would never be seen (kubectl leaves it out as well).
 * Says so on stderr.
 */
export function hasTerminal(options: { interactive?: boolean; tty?: boolean }, input = process.stdin): boolean {
  if (!options.tty || !options.interactive || input.isTTY) return Boolean(options.tty);
  process.stderr.write('sampan: stdin is no terminal, so -t is left out\n');
  return false;
}
