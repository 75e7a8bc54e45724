import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOutcomes } from './junit.ts';
import { writeSection } from './page.ts';
import { broken } from './results.ts';

const xml = `<testsuite>
<testcase name="[It] [k8s.io] Pod should run [Conformance]" classname="CRI" status="passed" time="1.6"><system-err>x</system-err></testcase>
<testcase name="[It] [k8s.io] Pod should stop" classname="CRI" status="failed" time="2"><failure message="it runs" type="failed">[FAILED] it runs</failure></testcase>
<testcase name="[It] [k8s.io] AppArmor&#39;s" classname="CRI" status="skipped" time="0"><skipped message="skipped - AppArmor is disabled"></skipped></testcase>
<testcase name="[It] [k8s.io] left out" classname="CRI" status="skipped" time="0"><skipped message="skipped"></skipped></testcase>
</testsuite>`;

test('outcomes are what ran and what skipped itself, not what a filter left out', () => {
  assert.deepEqual(readOutcomes(xml), {
    '[k8s.io] Pod should run [Conformance]': { outcome: 'passed', seconds: 2 },
    '[k8s.io] Pod should stop': { outcome: 'failed', message: 'it runs', seconds: 2 },
    "[k8s.io] AppArmor's": { outcome: 'skipped', message: 'AppArmor is disabled' },
  });
});

test('a spec that is not tried again is not broken', () => {
  const passed = { outcome: 'passed' } as const;
  assert.deepEqual(broken({ a: passed, b: passed, c: passed }, { a: passed, b: { outcome: 'failed' } }), ['b']);
});

test('the section takes the place of the one before, and the rest of the page stays', () => {
  const page = 'head\n<!-- written by npm run critest -->\nold\n<!-- end of what npm run critest wrote -->\ntail\n';
  const written = writeSection(page, 'v1', { vm: readOutcomes(xml), namespace: {} });
  assert.match(written, /^head\n[\s\S]*\n- Pod should run \[Conformance\] \(`vm`\)\n[\s\S]*\ntail\n$/);
  assert.match(written, /- Pod should stop: it runs \(`vm`\)/);
  assert.doesNotMatch(written, /old/);
  assert.equal(writeSection(written, 'v1', { vm: readOutcomes(xml), namespace: {} }), written);
  assert.throws(() => writeSection('bare', 'v1', {}), /marks/);
});
