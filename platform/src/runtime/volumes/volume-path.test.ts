import assert from 'node:assert/strict';
import { test } from 'node:test';
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

test('everything else of the host is refused by name', () => {
  const refused: [string, RegExp][] = [
    ['/etc/passwd', /mount of \/etc\/passwd at \/data: hostPath volumes/],
    [`/var/lib/sampan/pods/another-pod/volumes/kubernetes.io~secret/x`, /hostPath volumes/],
    [`${root}/volumes/kubernetes.io~nfs/share`, /volume share \(nfs\)/],
    [`${root}/volumes/kubernetes.io~secret`, /secret/],
    [`${root}/plugins/x`, /not in a volume/],
    [`${root}/volume-subpaths/v/c/0`, /not in a volume/],
  ];
  for (const [path, message] of refused) assert.throws(() => at(path), { reason: 'Unsupported', message }, path);
});

test('a path that climbs out is invalid', () => {
  assert.throws(() => at(`${root}/volumes/kubernetes.io~empty-dir/tmp/../../../../../etc`), { reason: 'Invalid' });
  assert.throws(() => at(`${root}/etc-hosts`, 'relative'), { reason: 'Invalid' });
});

test('mount options that a VM cannot honour are refused by name', () => {
  const hostPath = `${root}/volumes/kubernetes.io~empty-dir/tmp`;
  assert.throws(() => volumePath({ hostPath, containerPath: '/d', propagation: 2 }, uid), { message: /Bidirectional/ });
  assert.throws(() => volumePath({ hostPath, containerPath: '/d', image: { image: 'x' } }, uid), {
    message: /image volume/,
  });
});
