/** From the JUnit file of a run to docs/conformance.md, and back: what the page says passed is what must pass next time. Pure. */
import { excluded } from './scope.ts';

export interface Outcome {
  name: string;
  passed: boolean;
  /** The first line of the failure. */
  message: string;
}

/** Tests that ran; skipped ones are left out. */
export function readJunit(xml: string): Outcome[] {
  const cases = xml.matchAll(
    /<testcase name="\[It\] ([^"]*)"[^>]*status="(\w+)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  );
  return [...cases]
    .filter(([, , status]) => status !== 'skipped' && status !== 'pending')
    .map(([, name = '', status, inner = '']) => ({
      name: plainName(unescapeXml(name)),
      passed: status === 'passed',
      message: unescapeXml(/<(?:failure|error) message="([^"]*)"/.exec(inner)?.[1] ?? status ?? '').split('\n')[0]!,
    }));
}

/** Without the labels that ginkgo appends: what the list of conformance tests calls it. */
export function plainName(name: string): string {
  return name.replace(/ \[[^\]]*, [^\]]*\]$/, '').trim();
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(?:#x?([0-9a-fA-F]+)|(\w+));/g, (whole, code, name) =>
    name ? (named[name] ?? whole) : String.fromCodePoint(Number.parseInt(code, whole.includes('#x') ? 16 : 10)),
  );
}

const passedHeading = '## Passed';

/** Names under the heading of those that passed. */
export function readPassed(page: string): string[] {
  const section = page.split(passedHeading)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('- '))
    .map((line) => line.slice(2));
}

export function writePage(version: string, all: string[], outcomes: Outcome[]): string {
  const ran = new Map(outcomes.map((outcome) => [outcome.name, outcome]));
  const inScope = all.filter((name) => !excluded(name));
  const passed = inScope.filter((name) => ran.get(name)?.passed);
  const failed = inScope.filter((name) => ran.get(name)?.passed === false);
  const missing = inScope.filter((name) => !ran.has(name));
  const out = all.filter((name) => excluded(name));
  const list = (names: string[], note: (name: string) => string = () => '') =>
    names
      .sort()
      .map((name) => `- ${name}${note(name)}`)
      .join('\n') || '- none';
  const share = Math.round((100 * passed.length) / Math.max(1, inScope.length));
  return `# Conformance

Kubernetes' own tests (\`k8s.io/kubernetes/test/e2e\` ${version}), built from its Go modules and run by \`npm run conformance\` against
the API server with its controllers and a node without machines. Of ${all.length} conformance tests ${inScope.length} are in the scope of such
a run: ${passed.length} passed (${share}%), ${failed.length} failed, ${missing.length} did not come to an end in the time of the run.
The command fails when a test listed as passed no longer does.

${passedHeading}

${list(passed)}

## Failed

${list(failed, (name) => `: ${ran.get(name)!.message}`)}

## Not finished

${list(missing)}

## Not in scope

${list(out, (name) => `: ${excluded(name)}`)}
`;
}
