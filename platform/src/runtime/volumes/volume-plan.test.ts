import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mount, MountPropagation } from '../generated/cri.ts';
import { planVolumes } from './volume-plan.ts';

const mount = { hostPath: '/srv/data', containerPath: '/data', readonly: true };
const plan = (handler: 'vm' | 'namespace', ...mounts: Mount[]) =>
  planVolumes({ mounts, podUid: 'u', annotations: {}, podMemoryBytes: 1 << 28, handler });
const guestMount = async (handler: 'vm' | 'namespace', change: Mount = {}) => {
  const { mounts, volumes } = await plan(handler, { ...mount, ...change });
  const { readOnly, recursive, bidirectional } = mounts[0]!;
  return { readOnly, recursive, bidirectional, share: volumes[0]!.shareMount };
};

test('a read-only directory of the host: the host keeps it so for a VM, whose whole view of it would be read-only otherwise', async () => {
  const vm = await guestMount('vm');
  assert.deepEqual([vm.readOnly, vm.share?.readOnly, vm.share?.recursive], [false, true, undefined]);
  assert.equal((await guestMount('namespace')).readOnly, true);
});

test('recursively read-only is so on both sides, under both handlers', async () => {
  for (const handler of ['vm', 'namespace'] as const) {
    const { readOnly, recursive, share } = await guestMount(handler, { recursiveReadOnly: true });
    assert.deepEqual([readOnly, recursive, share?.readOnly, share?.recursive], [true, true, true, true]);
  }
});

test('Bidirectional propagation is for directories of the host on the host’s kernel', async () => {
  const both = { readonly: false, propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL };
  const { bidirectional, share } = await guestMount('namespace', both);
  assert.deepEqual([bidirectional, share?.propagation], [true, 'shared']);
  await assert.rejects(guestMount('vm', both), { reason: 'Unsupported', message: /\/data: Bidirectional/ });
  const emptyDir = '/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/tmp';
  await assert.rejects(guestMount('namespace', { ...both, hostPath: emptyDir }), { reason: 'Unsupported' });
});
