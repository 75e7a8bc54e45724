import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accelerationProfiles } from './acceleration.ts';

test('under KVM the kernel’s tables of a large guest are counted, under TCG the overhead is what it was', () => {
  const { kvm, tcg } = accelerationProfiles;
  const tablesMib = (memoryMib: number) => (memoryMib * 256 * 8 * 3) / 2 ** 20;
  for (const memoryMib of [256, 4096, 262_144])
    assert.ok(kvm.overheadMib(memoryMib) >= 128 + tablesMib(memoryMib), `${memoryMib}`);
  assert.equal(kvm.overheadMib(256), 130);
  assert.deepEqual([256, 262_144].map(tcg.overheadMib), [256, 256]);
});
