import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { Service } from 'kubernetes-types/core/v1.js';
import { startTestApi } from '../../../test/integration/api-test-server.ts';
import { until } from '../../../test/integration/support/wait.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { SharedInformers } from '../informer/shared-informers.ts';
import { KubernetesService } from './kubernetes-service.ts';
import type { SliceObject } from './plan-slices.ts';

it('the Service kubernetes leads to the API server, comes back when deleted and moves with the address', async () => {
  await using api = await startTestApi({ more: { serviceNetwork: { others: ['10.64.0.1', '10.65.0.1'] } } });
  const options = { client: api.client, log: silentLogger, clock: systemClock };
  const address = async () =>
    (await api.client.get<Service & KubeObject>(resources.services, 'kubernetes', 'default')).spec?.clusterIP;
  const slice = () => api.client.get<SliceObject>(resources.endpointslices, 'kubernetes', 'default');
  const withController = async (host: string, work: () => Promise<void>) => {
    const informers = new SharedInformers(options);
    const controller = new KubernetesService({ ...options, informers, apiServer: { host, port: 6443 } });
    await controller.start();
    await until('the Service', async () => (await address()) === host, 10_000);
    await until('its slice', async () => (await slice()).endpoints[0]?.addresses[0] === host, 10_000);
    await work();
    await controller.close();
    await informers.close();
  };
  await withController('10.64.0.1', async () => {
    assert.equal((await slice()).ports?.[0]?.port, 6443);
    await api.client.delete(resources.services, 'kubernetes', { namespace: 'default' });
    await api.client.delete(resources.endpointslices, 'kubernetes', { namespace: 'default' });
    await until('both again', async () => (await address()) !== undefined && (await slice()) !== undefined, 10_000);
  });
  await withController('10.65.0.1', async () => {});
});
