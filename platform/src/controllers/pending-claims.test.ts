import { it } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { Event } from 'kubernetes-types/core/v1.js';
import { startTestApi } from '../../test/integration/api-test-server.ts';
import { until } from '../../test/integration/support/wait.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { SharedInformers } from './informer/shared-informers.ts';
import { PendingClaims } from './pending-claims.ts';

it('a claim that waits is told why, anew when the reason changes and once when it does not', async () => {
  await using api = await startTestApi();
  const options = { client: api.client, log: silentLogger, clock: systemClock };
  const informers = new SharedInformers(options);
  const controller = new PendingClaims({ ...options, informers });
  await controller.start();
  const reasons = async () =>
    (await api.client.list<Event & KubeObject>(resources.events)).items.map(({ reason }) => reason).sort();
  const said = (...wanted: string[]) =>
    until(`events ${wanted}`, async () => (await reasons()).join() === wanted.join());
  const claim = (name: string, storageClassName?: string) =>
    api.client.create(
      resources.persistentvolumeclaims,
      {
        metadata: { name, namespace: 'default' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName },
      } as KubeObject,
      { namespace: 'default' },
    );
  try {
    await claim('bare');
    await claim('fast', 'fast');
    await said('FailedBinding', 'ProvisioningFailed');
    const fast = { metadata: { name: 'fast' }, provisioner: 'example.com/disks' } as KubeObject;
    await api.client.create(resources.storageclasses, fast);
    await said('ExternalProvisioning', 'FailedBinding', 'ProvisioningFailed');
    const label = { metadata: { labels: { a: 'b' } } };
    const type = 'application/merge-patch+json';
    await api.client.patch(resources.persistentvolumeclaims, 'fast', label, { namespace: 'default', type });
    await systemClock.sleep(300);
    await said('ExternalProvisioning', 'FailedBinding', 'ProvisioningFailed');
  } finally {
    await controller.close();
    await informers.close();
  }
});
