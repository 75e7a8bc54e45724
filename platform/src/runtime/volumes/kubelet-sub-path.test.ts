import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathInVolume, readMountInfo } from './kubelet-sub-path.ts';

const pod = '/var/lib/kubelet/pods/u1';
/** As a kubelet leaves it: the root on a disk, a Secret on a tmpfs, and three subPaths. */
const mounts = readMountInfo(`22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / ${pod}/volumes/kubernetes.io~secret/keys rw - tmpfs tmpfs rw
31 22 254:0 ${pod}/volumes/kubernetes.io~empty-dir/cache/a\\040b ${pod}/volume-subpaths/cache/main/0 rw - ext4 /dev/vda rw
32 22 0:40 /..2026_11_21/token ${pod}/volume-subpaths/keys/main/1 rw - tmpfs tmpfs rw
33 22 254:0 ${pod}/volumes/kubernetes.io~configmap/conf/..2026_11_21.7/app.ini ${pod}/volume-subpaths/conf/main/2 rw - ext4 /dev/vda rw
34 22 254:0 /srv/shared/part ${pod}/volume-subpaths/host/main/3 rw - ext4 /dev/vda rw
`);
const inVolume = (part: string, volume: string) =>
  pathInVolume(mounts, `${pod}/volume-subpaths/${part}`, `${pod}/volumes/kubernetes.io~${volume}`);

test('a subPath that kubelet has bind-mounted is led back to the path in its volume', () => {
  assert.equal(inVolume('cache/main/0', 'empty-dir/cache'), 'a b');
  assert.equal(inVolume('keys/main/1', 'secret/keys'), 'token');
  assert.equal(inVolume('conf/main/2', 'configmap/conf'), 'app.ini');
});

test('what comes from elsewhere is of no volume, though its path looks alike', () => {
  assert.equal(inVolume('host/main/3', 'empty-dir/host'), undefined);
  assert.equal(inVolume('cache/main/0', 'empty-dir/cach'), undefined);
  assert.equal(inVolume('keys/main/1', 'empty-dir/keys'), undefined);
  assert.equal(inVolume('none/main/9', 'empty-dir/cache'), undefined);
});
