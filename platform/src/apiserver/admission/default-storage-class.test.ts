import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { PersistentVolumeClaim } from 'kubernetes-types/core/v1.js';
import { startTestApi } from '../../../test/integration/api-test-server.ts';

it('a claim gets the default class unless it names one, or says by an empty name that it wants none', async () => {
  await using api = await startTestApi();
  const className = async (name: string, storageClassName?: string) => {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName };
    const object = { metadata: { name, namespace: 'default' }, spec } as KubeObject;
    const made = await api.client.create(resources.persistentvolumeclaims, object, { namespace: 'default' });
    return (made as PersistentVolumeClaim).spec?.storageClassName;
  };
  assert.equal(await className('before'), undefined);
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const standard = { metadata: { name: 'standard', annotations }, provisioner: 'example.com/disks' } as KubeObject;
  await api.client.create(resources.storageclasses, standard);
  assert.equal(await className('left-out'), 'standard');
  assert.equal(await className('named', 'fast'), 'fast');
  assert.equal(await className('none', ''), '');
});
