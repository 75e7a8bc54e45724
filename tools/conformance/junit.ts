/** Outcomes out of the JUnit file that Kubernetes' tests write. Pure. */
import type { Outcome } from './results.ts';

/** Neither ran to an end: the time of the run was over, or somebody stopped it. */
const notEnded = ['skipped', 'pending', 'timedout', 'interrupted'];

/** Tests that ran to their end. */
export function readJunit(xml: string): Outcome[] {
  const cases = xml.matchAll(
    /<testcase name="\[It\] ([^"]*)"[^>]*?status="(\w+)" time="([\d.]+)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  );
  return [...cases]
    .filter(([, , status = '']) => !notEnded.includes(status))
    .map(([, name = '', status, seconds, inner = '']) => ({
      name: plainName(unescapeXml(name)),
      passed: status === 'passed',
      message: reasonOf(inner) || (status ?? ''),
      seconds: Number(seconds),
    }));
}

/** Without the labels that ginkgo appends: what the list of conformance tests calls it. */
function plainName(name: string): string {
  return name.replace(/ \[[^\]]*, [^\]]*\]$/, '').trim();
}

/** In a few words: the failure's message where there is one, else the beginning of its text. */
function reasonOf(inner: string): string {
  const [, message = '', text = ''] = /<(?:failure|error) message="([^"]*)"[^>]*>([^<]*)/.exec(inner) ?? [];
  return unescapeXml(message || text)
    .replace(/^\[\w+\] /, '')
    .replace(/\n?In \[\w+\] at:[\s\S]*/, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
}

export function unescapeXml(text: string): string {
  const named: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(?:#x?([0-9a-fA-F]+)|(\w+));/g, (whole, code, name) =>
    name ? (named[name] ?? whole) : String.fromCodePoint(Number.parseInt(code, whole.includes('#x') ? 16 : 10)),
  );
}
