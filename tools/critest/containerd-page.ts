/** The part of docs/conformance-cri.md that tells critest's outcomes through containerd. Pure. */
import { reasonThrough } from './containerd-reasons.ts';
import { countsOf, inMarkdown, listOf, rewritten } from './outcome-lists.ts';
import type { Result, Results } from './results.ts';

/** By the name of a setup. */
export type ResultsBySetup = Partial<Record<string, Results>>;

/** The page with the section made anew; throws when its marks are gone. */
export const writeContainerdSection = (page: string, version: string, results: ResultsBySetup): string =>
  rewritten(page, 'critest-containerd', section(version, results));

function section(version: string, results: ResultsBySetup): string {
  const setups = Object.keys(results).filter((name) => !name.endsWith('runc'));
  const rows = setups.map((name) => row(name, results[name] ?? {}));
  return `What \`npm run critest-containerd\` wrote: critest ${version}, unmodified, against the CRI plugin of Debian's containerd 1.6 and of containerd 2 (built from its Go module), with the
runtimes \`io.containerd.sampan.v2\` (\`sampan\`: a VM with a pause container; \`sampan-pod\`: \`sandboxer = "shim"\`, a VM without one) and \`io.containerd.sampan-namespace.v2\`. What is not in
the table was not run whole.

| through | passed | failed | skipped | minutes |
|---|---|---|---|---|
${rows.join('\n')}

### Failed through containerd

${list('failed', setups, results)}

### Skipped through containerd by critest itself

${list('skipped', setups, results)}`;
}

function row(name: string, specs: Results): string {
  const { passed, failed, skipped, minutes } = countsOf(specs);
  return `| ${name} | ${passed} | ${failed} | ${skipped} | ${minutes} |`;
}

const list = (outcome: Result['outcome'], setups: string[], results: ResultsBySetup): string =>
  listOf({
    ...{ outcome, results, runs: setups },
    where: (under) => ` (${under.join('; ')})`,
    explain: (name, setup, result) => explained(name, setup, result, results),
  });

function explained(name: string, setup: string, result: Result, results: ResultsBySetup): string {
  const words = reasonThrough(name, setup) ?? inMarkdown(result.message || 'no reason known');
  const runc = results[setup.replace(/, .*/, ', runc')]?.[name];
  return result.outcome === 'failed' && runc?.outcome === 'failed' ? `${words}; with runc it fails here too` : words;
}
