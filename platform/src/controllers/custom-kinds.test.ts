import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { cronTabs } from '@sampan/api/custom/custom-fixtures.ts';
import { isReason } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { startTestApi } from '../../test/integration/api-test-server.ts';
import { until } from '../../test/integration/support/wait.ts';
import { systemUser } from '../apiserver/auth/user.ts';
import { silentLogger } from '../base/log.ts';
import { createControllers } from './controllers.ts';

const crontabs: ResourceRef = { group: 'stable.example.com', version: 'v1', resource: 'crontabs', namespaced: true };

test('objects of custom kinds are owners, are owned, are counted, and go with their namespace', async () => {
  await using api = await startTestApi();
  const { client, server } = api;
  const controllers = createControllers({
    clientFor: (component) => server.inProcess(systemUser(component)),
    log: silentLogger,
    namespaced: allKinds.filter(({ ref }) => ref.namespaced).map(({ ref }) => ref),
    kinds: allKinds.map(({ ref, kind }) => ({ ref, kind })),
    caCertificate: '',
  });
  await controllers.start();
  try {
    await client.create(resources.customresourcedefinitions, cronTabs());
    await client.create(resources.namespaces, { metadata: { name: 'short' } });
    const tab = (name: string, namespace: string): KubeObject & { spec: object } => ({
      ...{ apiVersion: 'stable.example.com/v1', kind: 'CronTab' },
      metadata: { name, namespace },
      spec: { cronSpec: '* * * * *' },
    });
    await until('the kind is served', () => client.create(crontabs, tab('owner', 'default')));
    await client.create(crontabs, tab('kept', 'short'));
    const owner = await client.get(crontabs, 'owner', 'default');
    await client.create(resources.resourcequotas, {
      metadata: { name: 'tabs', namespace: 'default' },
      spec: { hard: { 'count/crontabs.stable.example.com': '1' } },
    } as KubeObject);
    await assert.rejects(client.create(crontabs, tab('second', 'default')), /exceeded quota: tabs/);
    const ownerReferences = [
      { apiVersion: 'stable.example.com/v1', kind: 'CronTab', name: 'owner', uid: owner.metadata?.uid ?? '' },
    ];
    await client.create(resources.configmaps, { metadata: { name: 'owned', namespace: 'default', ownerReferences } });

    await client.delete(crontabs, 'owner', { namespace: 'default' });
    await until(
      'the dependent is collected',
      () => isGone(client.get(resources.configmaps, 'owned', 'default')),
      10_000,
    );
    await until('there is room in the quota again', () => client.create(crontabs, tab('second', 'default')), 10_000);
    await client.delete(crontabs, 'second', { namespace: 'default' });
    await client.delete(resources.namespaces, 'short');
    await until('the namespace ends', () => isGone(client.get(resources.namespaces, 'short')), 10_000);
    assert.deepEqual((await client.list(crontabs)).items, []);
  } finally {
    await controllers.close();
  }
});

const isGone = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => false,
    (error) => isReason(error, 'NotFound'),
  );
