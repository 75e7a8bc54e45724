/**
 * What a whole run makes of files that failed. A few are run once more, each alone: a fault fails again; what then passes is told by name,
 * as a race to be mended, and does not fail the run. Many failures are no accident, and are not tried again. Decision 0041.
 */
import type { LaneEnd } from './run-lane.ts';

/** More than these of a whole run are not put down to chance. */
const mostFiles = 3;

/** The files to be run again; none when it would not change how the run ends. */
export function worthAnotherTry(ends: LaneEnd[]): string[] {
  const files = [...new Set(ends.flatMap(({ failed }) => failed))];
  const isKnown = ends.every(({ code, failed }) => code === 0 || failed.length > 0);
  return isKnown && files.length <= mostFiles ? files : [];
}

export interface Verdict {
  isGreen: boolean;
  /** For people, one to a line. */
  lines: string[];
}

/** `again`: what came of the files that were run again, by file. */
export function verdict(ends: LaneEnd[], again: Map<string, LaneEnd>): Verdict {
  const failed = [...new Set(ends.flatMap((end) => end.failed))];
  const isUnsteady = (file: string) => again.get(file)?.code === 0;
  const isSteady = ends.every(({ code }) => code === 0);
  const isGreen = isSteady || (again.size > 0 && failed.every(isUnsteady));
  return {
    isGreen,
    lines: [
      `all tests: ${sums(ends, isGreen)}`,
      ...failed.map((file) =>
        isUnsteady(file)
          ? `unsteady: ${file} failed, and passed when it was run again by itself: look for a race`
          : `failed: ${file}${again.has(file) ? ', twice' : ''}`,
      ),
    ],
  };
}

function sums(ends: LaneEnd[], isGreen: boolean): string {
  const count = (name: string) => ends.reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  const [failed, rest] = [count('fail'), `cancelled ${count('cancelled')}, skipped ${count('skipped')}`];
  const bad = isGreen && failed > 0 ? `fail 0, unsteady ${failed}` : `fail ${failed}`;
  return `tests ${count('tests')}, pass ${count('pass')}, ${bad}, ${rest}`;
}
