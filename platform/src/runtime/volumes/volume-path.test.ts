import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mount, MountPropagation } from '../generated/cri.ts';
import { volumePath } from './volume-path.ts';

const uid = '8d0b6f3e-0000-4000-8000-000000000001';
const root = `/var/lib/sampan/pods/${uid}`;
const at = (hostPath: string, containerPath = '/data') => volumePath({ hostPath, containerPath }, uid);

test('volumes are told by kubelet’s layout', () => {
  const config = at(`${root}/volumes/kubernetes.io~configmap/settings`);
  assert.equal(config.kind, 'files');
  assert.equal(config.name, 'settings');
  assert.equal(config.subPath, undefined);
  assert.equal(at(`${root}/volumes/kubernetes.io~empty-dir/tmp`).kind, 'empty-dir');
  for (const plugin of ['secret', 'projected', 'downward-api'])
    assert.equal(at(`${root}/volumes/kubernetes.io~${plugin}/x`).kind, 'files');
});

test('a longer path is a sub path of the same volume', () => {
  const whole = at(`${root}/volumes/kubernetes.io~empty-dir/tmp`);
  const part = at(`${root}/volumes/kubernetes.io~empty-dir/tmp/a/b`);
  assert.equal(part.subPath, 'a/b');
  assert.equal(part.id, whole.id);
  assert.equal(part.hostPath, whole.hostPath);
});

test('hosts and termination log are single files', () => {
  assert.equal(at(`${root}/etc-hosts`, '/etc/hosts').kind, 'file');
  assert.equal(at(`${root}/containers/main/1a2b`, '/dev/termination-log').kind, 'file');
});

test('everything else of the host is shared, one volume for each way of mounting it', () => {
  const mount = { hostPath: '/srv/data', containerPath: '/data' };
  const plain = volumePath(mount, uid);
  assert.equal(plain.kind, 'host');
  assert.deepEqual(plain.host, { readOnly: false, propagation: 'private' });
  assert.deepEqual(
    volumePath({ ...mount, readonly: true, propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER }, uid).host,
    {
      readOnly: true,
      propagation: 'slave',
    },
  );
  const later = { propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER };
  const changes: Mount[] = [{}, { readonly: true }, later, { hostPath: '/srv/other' }];
  const ids = changes.map((change) => volumePath({ ...mount, ...change }, uid).id);
  assert.equal(new Set(ids).size, 4);
  assert.equal(volumePath({ ...mount, containerPath: '/elsewhere' }, uid).id, plain.id);
  const part = volumePath({ ...mount, hostPath: '/srv/data/./a/b' }, uid);
  assert.deepEqual([part.id, part.hostPath, part.subPath], [plain.id, '/srv/data', 'a/b']);
  assert.equal(at('/./etc').hostPath, '/');
  assert.throws(() => at('/srv/./a/./b'), { reason: 'Invalid' });
  assert.throws(() => at('/srv/./../b'), { reason: 'Invalid' });
  assert.equal(at(`${root}/volumes/kubernetes.io~csi/pvc-1/mount`).kind, 'host');
  const recursive = volumePath({ ...mount, readonly: true, recursiveReadOnly: true }, uid);
  assert.deepEqual(recursive.host, { readOnly: true, recursive: true, propagation: 'private' });
  assert.ok(!ids.includes(recursive.id));
});

test('what is of the Pod and no volume of it is refused by name', () => {
  const refused: [string, RegExp][] = [
    [`${root}/volumes/kubernetes.io~secret`, /secret/],
    [`${root}/plugins/x`, /not in a volume/],
    [`${root}/volume-subpaths/v/c`, /not in a volume/],
  ];
  for (const [path, message] of refused) assert.throws(() => at(path), { reason: 'Unsupported', message }, path);
});

test('what kubelet has mounted of a directory of the host for a subPath is shared as that directory would be', () => {
  assert.equal(at(`${root}/volume-subpaths/v/c/0`).kind, 'host');
});

test('a path that climbs out is invalid', () => {
  assert.throws(() => at(`${root}/volumes/kubernetes.io~empty-dir/tmp/../../../../../etc`), { reason: 'Invalid' });
  assert.throws(() => at(`${root}/etc-hosts`, 'relative'), { reason: 'Invalid' });
  assert.throws(() => at('/srv', '/'), { reason: 'Invalid', message: /a container's root is its image's/ });
});

test('recursively read-only wants a read-only mount that follows nobody', () => {
  const mount = { hostPath: '/srv', containerPath: '/d', recursiveReadOnly: true };
  for (const change of [{}, { readonly: true, propagation: 1 }, { readonly: true, propagation: 2 }] as Mount[])
    assert.throws(() => volumePath({ ...mount, ...change }, uid), { reason: 'Invalid', message: /recursiveReadOnly/ });
});

test('mount options that no handler has are refused by name', () => {
  const hostPath = `${root}/volumes/kubernetes.io~empty-dir/tmp`;
  assert.throws(() => volumePath({ hostPath, containerPath: '/d', image: { image: 'x' } }, uid), {
    message: /image volume/,
  });
});
