import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import { accelerationProfiles } from './acceleration.ts';
import { type Choose, HostAcceleration } from './host-acceleration.ts';
import type { Verdict } from './kvm-probe.ts';
import type { QemuContext } from './qemu-context.ts';

const { kvm, tcg } = accelerationProfiles;
const noKvm = new Error('the VMM could not be started; QEMU: Could not access KVM kernel module: No such device');

/** A host that answers so, one after the other, and how often it was asked anew. */
function host(...verdicts: Verdict[]) {
  const context = { profile: tcg, log: silentLogger } as QemuContext;
  const asked = { anew: 0 };
  const choose: Choose = async (_context, options) => {
    if (options?.anew) asked.anew++;
    return verdicts.shift()!;
  };
  return { context, asked, choose };
}

test('KVM that goes while the server runs is noticed once for all machines that fail of it, and emulation takes its place', async () => {
  const gone = { accelerator: 'tcg', reason: 'there is no /dev/kvm: emulating' } as const;
  const { context, asked, choose } = host({ accelerator: 'kvm', reason: 'it boots' }, gone);
  const acceleration = await HostAcceleration.choose(context, undefined, choose);
  assert.equal(context.profile, kvm);
  const another = await Promise.all([1, 2, 3].map(() => acceleration.isAnotherAfter(noKvm, kvm)));
  assert.deepEqual(another, [true, true, true]);
  assert.equal(asked.anew, 1);
  assert.equal(context.profile, tcg);
  assert.deepEqual(acceleration.verdict, gone);
  assert.equal(await acceleration.isAnotherAfter(noKvm, kvm), true, 'one that had begun with KVM');
  assert.equal(await acceleration.isAnotherAfter(noKvm, tcg), false, 'there is nothing behind emulation');
  assert.equal(asked.anew, 1);
});

test('KVM stays where it still boots a guest, and where the failure does not speak of it', async () => {
  const works = { accelerator: 'kvm', reason: 'it boots' } as const;
  const { context, asked, choose } = host(works, works);
  const acceleration = await HostAcceleration.choose(context, undefined, choose);
  assert.equal(await acceleration.isAnotherAfter(new Error('no tap device sp1'), kvm), false);
  assert.equal(asked.anew, 0);
  assert.equal(await acceleration.isAnotherAfter(noKvm, kvm), false);
  assert.equal(asked.anew, 1);
  assert.equal(context.profile, kvm);
});

test('who chose an acceleration is not contradicted', async () => {
  const { context, asked, choose } = host();
  const acceleration = await HostAcceleration.choose(context, 'kvm', choose);
  assert.equal(await acceleration.isAnotherAfter(noKvm, kvm), false);
  assert.deepEqual([asked.anew, context.profile], [0, kvm]);
  assert.equal(acceleration.verdict.reason, 'chosen by configuration');
});
