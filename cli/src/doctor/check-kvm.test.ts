import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeKvm, type KvmSigns } from './check-kvm.ts';

const able: KvmSigns = { extension: 'svm', refusal: undefined, isRoot: true };

test('a host that can is well, with what the server found when there is one', () => {
  assert.equal(describeKvm(able).state, 'ok');
  assert.match(describeKvm(able).found, /boots a probe VM/);
  const verdict = { accelerator: 'kvm', reason: 'the CPU shows svm and the guest boots with KVM' } as const;
  assert.deepEqual(describeKvm({ ...able, verdict }), { state: 'ok', found: `/dev/kvm opens; ${verdict.reason}` });
});

test('a server that tried KVM in vain is believed, and its reason shown', () => {
  const reason = 'the CPU shows svm, but the guest does not boot with KVM (KVM internal error): emulating';
  const tcg = describeKvm({ ...able, verdict: { accelerator: 'tcg', reason } });
  assert.equal(tcg.state, 'warn');
  assert.ok(tcg.found.includes(reason));
  assert.equal(describeKvm({ ...able, verdict: { accelerator: 'kvm', reason, coldOnly: true } }).state, 'warn');
});

test('each thing that may be missing has a mend of its own', () => {
  const mend = (signs: Partial<KvmSigns>) => describeKvm({ ...able, ...signs }).mend;
  assert.match(mend({ extension: undefined }) ?? '', /nested virtualisation/);
  assert.match(mend({ refusal: 'ENOENT' }) ?? '', /^modprobe kvm_amd/);
  assert.match(mend({ refusal: 'ENODEV', extension: 'vmx' }) ?? '', /^modprobe kvm_intel/);
  assert.match(mend({ refusal: 'EPERM' }) ?? '', /--device \/dev\/kvm/);
});

test('who may not open the device is told that root may, not that it is missing', () => {
  const finding = describeKvm({ ...able, refusal: 'EACCES', isRoot: false });
  assert.equal(finding.state, 'ok');
  assert.match(finding.found, /only root can try/);
});
