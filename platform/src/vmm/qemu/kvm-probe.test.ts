import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownVerdict } from './kvm-probe.ts';

const hourMs = 3_600_000;
const written = (verdict: object) => JSON.stringify({ of: 'boot 1, QEMU 7.2', atMs: 1_000, ...verdict });
const works = { accelerator: 'kvm', reason: 'it boots' };

test('a verdict holds for what it was found of, and no longer', () => {
  assert.deepEqual(knownVerdict(written(works), 'boot 1, QEMU 7.2', 1_000 + 1000 * hourMs), works);
  assert.equal(knownVerdict(written(works), 'boot 2, QEMU 7.2', 2_000), undefined);
  assert.equal(knownVerdict(undefined, 'boot 1, QEMU 7.2', 2_000), undefined);
  assert.equal(knownVerdict('{"accelerator":"kvm"', 'boot 1, QEMU 7.2', 2_000), undefined);
  assert.equal(knownVerdict(written({ accelerator: 'xen', reason: '' }), 'boot 1, QEMU 7.2', 2_000), undefined);
});

test('what did not work is tried again after an hour: it may have been for want of memory or time', () => {
  for (const verdict of [
    { accelerator: 'tcg', reason: 'it does not boot' },
    { accelerator: 'kvm', reason: 'no clone lives', coldOnly: true },
  ]) {
    assert.deepEqual(knownVerdict(written(verdict), 'boot 1, QEMU 7.2', 1_000 + hourMs), verdict);
    assert.equal(knownVerdict(written(verdict), 'boot 1, QEMU 7.2', 1_001 + hourMs), undefined);
    assert.equal(knownVerdict(written(verdict), 'boot 1, QEMU 7.2', 0), undefined, 'a clock that was set back');
  }
});
