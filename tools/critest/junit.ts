/** Outcomes of specs out of the JUnit file that critest writes. Pure. */
import { readJunit, unescapeXml } from '../conformance/junit.ts';
import type { Results } from './results.ts';

/** Specs that ran or that skipped themselves; those left out by a filter say nothing. */
export function readOutcomes(xml: string): Results {
  const ran = readJunit(xml).map(({ name, passed, message, seconds }) => {
    const time = Math.round(seconds);
    return [name, passed ? { outcome: 'passed', seconds: time } : { outcome: 'failed', message, seconds: time }];
  });
  const cases = xml.matchAll(
    /<testcase name="\[It\] ([^"]*)"[^>]*?status="skipped"[^>]*?>\s*<skipped message="skipped - ([^"]*)"/g,
  );
  const skipped = [...cases].map(([, name = '', message]) => [
    unescapeXml(name),
    { outcome: 'skipped', message: unescapeXml(message ?? '') },
  ]);
  return Object.fromEntries([...ran, ...skipped]);
}
