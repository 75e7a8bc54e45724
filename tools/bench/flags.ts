/** What a benchmark was asked for, on its command line. */
export const json: boolean = process.argv.includes('--json');

/** The word behind `flag`; undefined without it. */
export function flagValue(flag: string): string | undefined {
  const at = process.argv.indexOf(flag);
  return at < 0 ? undefined : process.argv[at + 1];
}
