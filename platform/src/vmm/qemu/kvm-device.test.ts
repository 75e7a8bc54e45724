import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtualisationExtension } from './kvm-probe.ts';

test('the virtualisation extension is read from the flags, as a whole word', () => {
  assert.equal(virtualisationExtension('processor: 0\nflags\t\t: fpu vmx sse\n'), 'vmx');
  assert.equal(virtualisationExtension('flags\t\t: fpu svm\n'), 'svm');
  assert.equal(virtualisationExtension('flags\t\t: fpu svm_lock vmxx\nvmx flags\t: vnmi\n'), undefined);
  assert.equal(virtualisationExtension(''), undefined);
});
