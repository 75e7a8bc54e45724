import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readJunit, readPassed, writePage } from './report.ts';

const junit = `<testsuite>
<testcase name="[It] [sig-apps] Deployment rolls &amp; rolls [Conformance] [sig-apps, Conformance]" classname="x" status="passed" time="1"><system-err>log</system-err></testcase>
<testcase name="[It] [sig-apps] Deployment fails [Conformance] [sig-apps, Conformance]" classname="x" status="failed" time="1">
  <failure message="no &#34;end&#34;&#xA;more" type="failed">at x.go</failure></testcase>
<testcase name="[It] [sig-node] Pods [Conformance] [sig-node, Conformance]" classname="x" status="skipped" time="0"></testcase>
</testsuite>`;
const all = [
  '[sig-apps] Deployment rolls & rolls [Conformance]',
  '[sig-apps] Deployment fails [Conformance]',
  '[sig-apps] Deployment hangs [Conformance]',
  '[sig-apps] Daemon set runs [Conformance]',
];

it('a run becomes a page: passed, failed with its reason, not finished, not in scope', () => {
  const page = writePage('v1.33', all, readJunit(junit));
  assert.deepEqual(readPassed(page), ['[sig-apps] Deployment rolls & rolls [Conformance]']);
  assert.match(page, /- \[sig-apps\] Deployment fails \[Conformance\]: no "end"\n/);
  assert.match(page, /## Not finished\n\n- \[sig-apps\] Deployment hangs/);
  assert.match(page, /Daemon set runs \[Conformance\]: DaemonSet is not served/);
  assert.match(page, /Of 4 conformance tests 3 are in the scope[^.]*: 1 passed \(33%\)/);
});
