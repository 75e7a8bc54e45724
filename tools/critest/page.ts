/** The part of docs/conformance-cri.md that tells critest's outcomes under both handlers. Pure. */
import { countsOf, inMarkdown, listOf, rewritten } from './outcome-lists.ts';
import { reasonOf } from './reasons.ts';
import type { Handler, Result, Results, ResultsByHandler } from './results.ts';

/** The page with the section made anew; throws when its marks are gone. */
export const writeSection = (page: string, version: string, results: ResultsByHandler): string =>
  rewritten(page, 'critest', section(version, results));

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
  const { passed, failed, skipped, minutes } = countsOf(specs);
  return `- \`${handler}\`: ${passed} passed, ${failed} failed, ${skipped} skipped, in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} on two cores without KVM.`;
}

const titles = { passed: 'Passed', failed: 'Failed', skipped: 'Skipped by critest itself' };

function list(outcome: Result['outcome'], handlers: Handler[], results: ResultsByHandler): string {
  const where = (under: Handler[]) => ` (\`${under.join('`, `')}\`)`;
  const explain = (name: string, handler: Handler, { message }: Result) =>
    reasonOf(name, handler) ?? inMarkdown(message || 'no reason known');
  const lines = listOf({ outcome, results, runs: handlers, where, ...(outcome === 'passed' ? {} : { explain }) });
  return `### ${titles[outcome]}\n\n${lines}`;
}
