import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readJunit } from './junit.ts';
import { writePage } from './report.ts';
import { broken, merge } from './results.ts';
import { excluded, placeOf } from './scope.ts';

const junit = `<testsuite>
<testcase name="[It] [sig-apps] Deployment rolls &amp; rolls [Conformance] [sig-apps, Conformance]" classname="x" status="passed" time="1.4"><system-err>log</system-err></testcase>
<testcase name="[It] [sig-apps] Deployment fails [Conformance] [sig-apps, Conformance]" classname="x" status="failed" time="1">
  <failure message="" type="failed">[FAILED] no &#34;end&#34;&#xA;  more&#xA;In [It] at: x.go</failure></testcase>
<testcase name="[It] [sig-apps] Deployment hangs [Conformance] [sig-apps, Conformance]" classname="x" status="timedout" time="9"></testcase>
<testcase name="[It] [sig-node] Pods [Conformance] [sig-node, Conformance]" classname="x" status="skipped" time="0"></testcase>
</testsuite>`;
const [rolls, fails, hangs, daemons, pods] = [
  '[sig-apps] Deployment rolls & rolls [Conformance]',
  '[sig-apps] Deployment fails [Conformance]',
  '[sig-apps] Deployment hangs [Conformance]',
  '[sig-apps] Daemon set runs [Conformance]',
  '[sig-node] Pods start [Conformance]',
] as const;
const all = [rolls, fails, hangs, daemons, pods];

it('a run becomes a page: passed, failed with its reason, not finished, not in scope', () => {
  const page = writePage('v1.33', all, merge({}, [rolls, fails, hangs], readJunit(junit)));
  assert.match(page, /## Passed\n\n- \[sig-apps\] Deployment rolls & rolls \[Conformance\]\n\n/);
  assert.match(page, /- \[sig-apps\] Deployment fails \[Conformance\]: no "end" more\n/);
  assert.match(page, /not finished\n\n- \[sig-apps\] Deployment hangs[^\n]*\n- \[sig-node\] Pods start/);
  assert.match(page, /### DaemonSet is not served\n\n- \[sig-apps\] Daemon set runs/);
  assert.match(page, /5 conformance tests 4 are in scope: 1 passed \(25%\), 1 failed, 2 were not tried/);
});

it('a run leaves the outcomes of other tests alone, and what it was to run and did not end is unfinished', () => {
  const before = merge({}, [pods, hangs], [pods, hangs].map(passedNow));
  const after = merge(before, [rolls, fails, hangs], readJunit(junit));
  assert.deepEqual(after[pods], { outcome: 'passed', seconds: 2 });
  assert.deepEqual(after[rolls], { outcome: 'passed', seconds: 1 });
  assert.deepEqual(after[hangs], { outcome: 'unfinished' });
  assert.deepEqual(broken(before, after), [hangs]);
  assert.deepEqual(broken(after, after), []);
});

it('what counts on what Pods do needs machines; the API alone is enough for objects', () => {
  const place = (name: string) => excluded(name) ?? placeOf(name);
  assert.equal(place('[sig-node] Pods should be updated [NodeConformance] [Conformance]'), 'machines');
  assert.equal(place('[sig-node] PodTemplates should replace a pod template [Conformance]'), 'api');
  assert.equal(place('[sig-storage] ConfigMap updates should be reflected in volume [Conformance]'), 'machines');
  assert.equal(place('[sig-storage] Secrets should be immutable if `immutable` field is set [Conformance]'), 'api');
  assert.equal(place('[sig-storage] StorageClasses CSI Conformance should run through the lifecycle'), 'api');
  assert.equal(place('[sig-storage] CSINodes CSI Conformance should run through'), 'CSI drivers are not served');
});

const passedNow = (name: string) => ({ name, passed: true, message: '', seconds: 2 });
