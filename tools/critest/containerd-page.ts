/** The part of docs/conformance-cri.md that tells critest's outcomes through containerd, between two marks. Pure. */
import { reasonThrough } from './containerd-reasons.ts';
import { type Result, type Results, sorted } from './results.ts';

const begin = '<!-- written by npm run critest-containerd -->';
const end = '<!-- end of what npm run critest-containerd wrote -->';

/** By the name of a setup. */
export type ResultsBySetup = Partial<Record<string, Results>>;

/** The page with the section made anew; throws when its marks are gone. */
export function writeContainerdSection(page: string, version: string, results: ResultsBySetup): string {
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error('docs/conformance-cri.md has lost its marks');
  return `${head}${begin}\n${section(version, results)}\n${end}${tail}`;
}

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
  const all = Object.values(specs);
  const count = (outcome: string) => all.filter((result) => result.outcome === outcome).length;
  const minutes = Math.round(all.reduce((sum, { seconds = 0 }) => sum + seconds, 0) / 60);
  return `| ${name} | ${count('passed')} | ${count('failed')} | ${count('skipped')} | ${minutes} |`;
}

function list(outcome: Result['outcome'], setups: string[], results: ResultsBySetup): string {
  const lines = new Map<string, string[]>();
  for (const setup of setups)
    for (const [name, result] of sorted(results[setup] ?? {}).filter(([, its]) => its.outcome === outcome)) {
      const line = `${plain(name)}: ${explained(name, setup, result, results)}`;
      lines.set(line, [...(lines.get(line) ?? []), setup]);
    }
  const where = (under: string[]) => (under.length === setups.length ? '' : ` (${under.join('; ')})`);
  const texts = [...lines].map(([line, under]) => `- ${line}${where(under)}`).sort();
  return texts.join('\n') || '- none';
}

const escaped = (text: string): string => text.replaceAll(/([*|<>])/g, '\\$1');
const plain = (name: string): string => escaped(name.replace(/^\[k8s\.io\] /, ''));

function explained(name: string, setup: string, result: Result, results: ResultsBySetup): string {
  const words = reasonThrough(name, setup) ?? escaped(result.message || 'no reason known');
  const runc = results[setup.replace(/, .*/, ', runc')]?.[name];
  return result.outcome === 'failed' && runc?.outcome === 'failed' ? `${words}; with runc it fails here too` : words;
}
