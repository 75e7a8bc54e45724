/** What both parts of docs/conformance-cri.md about critest are made of. Pure. */
import { type Result, type Results, sorted } from './results.ts';

/** The page with what `npm run <command>` wrote there made anew; throws when its marks are gone. */
export function rewritten(page: string, command: string, text: string): string {
  const [begin, end] = [`<!-- written by npm run ${command} -->`, `<!-- end of what npm run ${command} wrote -->`];
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error('docs/conformance-cri.md has lost its marks');
  return `${head}${begin}\n${text}\n${end}${tail}`;
}

export function countsOf(specs: Results): Record<Result['outcome'] | 'minutes', number> {
  const all = Object.values(specs);
  const count = (outcome: Result['outcome']) => all.filter((result) => result.outcome === outcome).length;
  const minutes = Math.round(all.reduce((sum, { seconds = 0 }) => sum + seconds, 0) / 60);
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), minutes };
}

export interface ListOptions<Run extends string> {
  outcome: Result['outcome'];
  results: Partial<Record<Run, Results>>;
  /** Those of the results that are told of. */
  runs: Run[];
  /** What stands behind a spec's name. */
  explain?: (name: string, run: Run, result: Result) => string;
  /** Under which of the runs, where it is not all. */
  where: (runs: Run[]) => string;
}

/** Of specs with that outcome, a line for each different thing to say. */
export function listOf<Run extends string>(options: ListOptions<Run>): string {
  const { outcome, results, runs, explain, where } = options;
  const lines = new Map<string, Run[]>();
  for (const run of runs)
    for (const [name, result] of sorted(results[run] ?? {}).filter(([, its]) => its.outcome === outcome)) {
      const plain = inMarkdown(name.replace(/^\[k8s\.io\] /, ''));
      const line = explain ? `${plain}: ${explain(name, run, result)}` : plain;
      lines.set(line, [...(lines.get(line) ?? []), run]);
    }
  const texts = [...lines].map(([line, under]) => `- ${line}${under.length === runs.length ? '' : where(under)}`);
  return texts.sort().join('\n') || '- none';
}

export const inMarkdown = (text: string): string => text.replaceAll(/([*|<>])/g, '\\$1');
