import assert from 'node:assert/strict';
import { it } from 'node:test';
import { admitted, created, updated } from '../kind-fixtures.ts';
import { csiNodeKind } from './csi-node.ts';
import { persistentVolumeKind } from './persistent-volume.ts';
import { persistentVolumeClaimKind } from './persistent-volume-claim.ts';
import { storageClassKind } from './storage-class.ts';

const claim = (spec: object = {}) => ({
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
});
const volume = (spec: object = { hostPath: { path: '/x' } }) => ({
  spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, ...spec },
});

it('a claim waits, says how much it wants and how, and does not change its mind', () => {
  const old = admitted(persistentVolumeClaimKind, claim());
  assert.deepEqual([old.status, old.spec.volumeMode], [{ phase: 'Pending' }, 'Filesystem']);
  assert.match(
    created(persistentVolumeClaimKind, claim({ accessModes: [] }))[0]!,
    /at least 1 access mode is required/,
  );
  assert.match(created(persistentVolumeClaimKind, claim({ resources: {} }))[0]!, /spec.resources\[storage\]: Required/);
  const change = (spec: object) =>
    updated(persistentVolumeClaimKind, old, (object) => Object.assign(object.spec, spec)).problems;
  assert.deepEqual(change({ volumeName: 'disk' }), []);
  assert.deepEqual(change({ storageClassName: 'fast' }), []);
  assert.match(change({ accessModes: ['ReadWriteMany'] })[0]!, /spec: Forbidden: spec is immutable after creation/);
});

it('a bound claim may grow and not shrink', () => {
  const old = admitted(persistentVolumeClaimKind, claim({ volumeName: 'disk' }));
  const resize = (storage: string) =>
    updated(persistentVolumeClaimKind, old, ({ spec }) => Object.assign(spec, { resources: { requests: { storage } } }))
      .problems;
  assert.deepEqual(resize('2Gi'), []);
  assert.match(resize('1Mi')[0]!, /field can not be less than/);
});

it('a volume has one source, which stays', () => {
  assert.deepEqual(created(persistentVolumeKind, volume()), []);
  assert.deepEqual(created(persistentVolumeKind, volume({})), ['spec: Required value: must specify a volume type']);
  const two = { hostPath: { path: '/x' }, nfs: { server: 'a', path: '/' } };
  assert.match(created(persistentVolumeKind, volume(two))[0]!, /may not specify more than 1 volume type/);
  const old = admitted(persistentVolumeKind, volume());
  const { problems } = updated(persistentVolumeKind, old, ({ spec }) =>
    Object.assign(spec, { hostPath: { path: '/y' } }),
  );
  assert.match(problems[0]!, /is immutable after creation/);
});

it('a StorageClass is marked when it is the default one, and keeps what it makes volumes of', () => {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const old = admitted(storageClassKind, { provisioner: 'example.com/x', metadata: { name: 'std', annotations } });
  assert.deepEqual(storageClassKind.row(old, 0).slice(0, 4), ['std (default)', 'example.com/x', 'Delete', 'Immediate']);
  const { problems } = updated(storageClassKind, old, (object) =>
    Object.assign(object, { provisioner: 'example.com/y' }),
  );
  assert.deepEqual(problems, ['provisioner: Forbidden: updates to provisioner are forbidden.']);
});

it('a CSINode names each of its drivers once, with the id of the node there', () => {
  const drivers = [{ name: 'a.example', nodeID: '1' }];
  assert.deepEqual(created(csiNodeKind, { spec: { drivers } }), []);
  assert.match(
    created(csiNodeKind, { spec: { drivers: [...drivers, ...drivers] } })[0]!,
    /drivers\[\d\].name: Duplicate/,
  );
  assert.match(created(csiNodeKind, { spec: { drivers: [{ name: 'a', nodeID: '' }] } })[0]!, /nodeID: Required/);
  assert.match(
    created(csiNodeKind, { spec: { drivers: [{ ...drivers[0], allocatable: { count: -1 } }] } })[0]!,
    /allocatable.count: Invalid/,
  );
});
