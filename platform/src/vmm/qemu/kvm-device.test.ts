import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lookAtKvm, virtualisationExtension, whyNoKvm } from './kvm-device.ts';

test('the virtualisation extension is read from the flags, as a whole word', () => {
  assert.equal(virtualisationExtension('processor: 0\nflags\t\t: fpu vmx sse\n'), 'vmx');
  assert.equal(virtualisationExtension('flags\t\t: fpu svm\n'), 'svm');
  assert.equal(virtualisationExtension('flags\t\t: fpu svm_lock vmxx\nvmx flags\t: vnmi\n'), undefined);
  assert.equal(virtualisationExtension(''), undefined);
});

test('KVM is tried where the CPU has the extension and the device opens, and refused in words for each of what may be wrong', () => {
  const why = (extension: 'vmx' | undefined, refusal: string | undefined) =>
    whyNoKvm({ extension, refusal, identity: '' });
  assert.equal(why('vmx', undefined), undefined);
  assert.equal(why(undefined, undefined), 'the CPU shows neither vmx nor svm');
  assert.equal(why('vmx', 'ENOENT'), 'the CPU shows vmx, but there is no /dev/kvm');
  assert.equal(why('vmx', 'ENODEV'), 'the CPU shows vmx, but no module stands behind /dev/kvm');
  assert.equal(why('vmx', 'EPERM'), 'the CPU shows vmx, but /dev/kvm may not be opened (EPERM)');
  assert.equal(why('vmx', 'EBUSY'), 'the CPU shows vmx, but /dev/kvm cannot be opened (EBUSY)');
});

test('the device is opened, not only looked at, and one that was made anew is told from the one before', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-kvm-'));
  try {
    const [device, cpuinfo] = [join(directory, 'kvm'), join(directory, 'cpuinfo')];
    await writeFile(cpuinfo, 'flags : svm\n');
    assert.deepEqual(await lookAtKvm(device, cpuinfo), { extension: 'svm', refusal: 'ENOENT', identity: '' });
    assert.match(String((await lookAtKvm(directory, cpuinfo)).refusal), /EISDIR/);
    await writeFile(device, '');
    const first = await lookAtKvm(device, cpuinfo);
    assert.equal(first.refusal, undefined);
    assert.deepEqual(await lookAtKvm(device, cpuinfo), first);
    await writeFile(join(directory, 'other'), '');
    await rm(device);
    await writeFile(device, '');
    assert.notEqual((await lookAtKvm(device, cpuinfo)).identity, first.identity);
  } finally {
    await rm(directory, { recursive: true });
  }
});
