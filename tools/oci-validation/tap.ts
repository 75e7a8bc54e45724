/** Test Anything Protocol, as OCI runtime-tools prints it, reduced to what a table tells. Pure. */

export interface TapResult {
  passed: number;
  skipped: number;
  /** What each point that failed says. */
  failed: string[];
  /** What the program said when it gave up before its plan was through; empty otherwise. */
  gaveUp: string;
  /** It has no points: it says what is wrong, and nothing where all is well. */
  onlyComplains?: boolean;
}

/** From both streams and the exit code of one program. */
export function parseTap(stdout: string, stderr: string, code: number): TapResult {
  const result: TapResult = { passed: 0, skipped: 0, failed: [], gaveUp: '' };
  for (const line of stdout.split('\n')) {
    const told = /^\s*"error": "((?:[^"\\]|\\.)+)"/.exec(line)?.[1];
    if (told && result.passed + result.skipped === 0 && result.failed.length === 0) result.failed.push(told);
    if (line.trim() === '1..0') result.onlyComplains = true;
    const point = /^(not )?ok \d+(?: - (.*)| # SKIP.*)?$/.exec(line.trim());
    if (!point) continue;
    if (/# SKIP/i.test(line)) result.skipped += 1;
    else if (point[1]) result.failed.push(point[2] ?? '');
    else result.passed += 1;
  }
  const words = stderr.split('\n').filter((line) => line.trim() && !/^exit status \d+$/.test(line.trim()));
  if (code !== 0) result.gaveUp = words.at(-1)?.trim() || `exit ${code}`;
  return result;
}

/** A program that says nothing has shown nothing, unless it is one of those that only complain. */
export const isGood = (result: TapResult): boolean =>
  (result.passed + result.skipped > 0 || result.onlyComplains === true) &&
  result.failed.length === 0 &&
  result.gaveUp === '';

/** "12 ok", "10 ok, 2 not", "gave up". */
export function inWords(result: TapResult): string {
  const parts = [];
  if (result.passed > 0) parts.push(`${result.passed} ok`);
  if (result.failed.length > 0) parts.push(`${result.failed.length} not ok`);
  if (result.gaveUp) parts.push('gave up');
  if (parts.length === 0)
    parts.push(result.skipped > 0 ? 'skips itself' : isGood(result) ? 'no complaint' : 'nothing to say');
  return parts.join(', ');
}
