/** The part of docs/conformance-cri.md that tells critest's outcomes, between two marks. Pure. */
import { reasonOf } from './reasons.ts';
import { type Handler, type Result, type Results, type ResultsByHandler, sorted } from './results.ts';

const begin = '<!-- written by npm run critest -->';
const end = '<!-- end of what npm run critest wrote -->';

/** The page with the section made anew; throws when its marks are gone. */
export function writeSection(page: string, version: string, results: ResultsByHandler): string {
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error('docs/conformance-cri.md has lost its marks');
  return `${head}${begin}\n${section(version, results)}\n${end}${tail}`;
}

function section(version: string, results: ResultsByHandler): string {
  const handlers = Object.keys(results) as Handler[];
  const counts = handlers.map((handler) => countLine(handler, results[handler] ?? {}));
  const outcomes = (['passed', 'failed', 'skipped'] as const).map((outcome) => list(outcome, handlers, results));
  return `What \`npm run critest\` wrote: critest ${version} (sigs.k8s.io/cri-tools), unmodified, built from its Go module, against a private \`sampan cri\`. Its images
are made of Debian's packages and pulled over HTTPS from a registry on loopback. The command fails when a spec listed as passed no longer passes.

${counts.join('\n')}

${outcomes.join('\n\n')}`;
}

function countLine(handler: Handler, specs: Results): string {
  const all = Object.values(specs);
  const count = (outcome: string) => all.filter((result) => result.outcome === outcome).length;
  const minutes = Math.round(all.reduce((sum, { seconds = 0 }) => sum + seconds, 0) / 60);
  return `- \`${handler}\`: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped, in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} on two cores without KVM.`;
}

const titles = { passed: 'Passed', failed: 'Failed', skipped: 'Skipped by critest itself' };

function list(outcome: Result['outcome'], handlers: Handler[], results: ResultsByHandler): string {
  const lines = new Map<string, Handler[]>();
  for (const handler of handlers)
    for (const [name, result] of sorted(results[handler] ?? {}).filter(([, { outcome: its }]) => its === outcome)) {
      const line = outcome === 'passed' ? plain(name) : `${plain(name)}: ${explained(name, handler, result)}`;
      lines.set(line, [...(lines.get(line) ?? []), handler]);
    }
  const where = (under: Handler[]) => (under.length === handlers.length ? '' : ` (\`${under.join('`, `')}\`)`);
  const texts = [...lines].map(([line, under]) => `- ${line}${where(under)}`).sort();
  return `### ${titles[outcome]}\n\n${texts.join('\n') || '- none'}`;
}

const plain = (name: string): string => name.replace(/^\[k8s\.io\] /, '').replaceAll(/([*|<>])/g, '\\$1');

const explained = (name: string, handler: Handler, result: Result): string =>
  reasonOf(name, handler) ?? (result.message || 'no reason known').replaceAll(/([*|<>])/g, '\\$1');
