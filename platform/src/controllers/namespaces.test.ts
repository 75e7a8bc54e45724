import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { Namespace } from 'kubernetes-types/core/v1.js';
import { startTestApi, type TestApi, testPod } from '../../test/integration/api-test-server.ts';
import { until } from '../../test/integration/support/wait.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { NamespaceController } from './namespaces.ts';

const { namespaces, pods, configmaps, serviceaccounts } = resources;
const merge = { type: 'application/merge-patch+json' } as const;

let api: TestApi;
let controller: NamespaceController;
before(async () => {
  api = await startTestApi();
  const namespaced = allKinds.map(({ ref }) => ref).filter((ref) => ref.namespaced);
  controller = new NamespaceController({ client: api.client, log: silentLogger, clock: systemClock, namespaced });
  await controller.start();
});
after(async () => {
  await controller.close();
  await api[Symbol.asyncDispose]();
});

const eventually = (holds: () => Promise<boolean>): Promise<boolean> => until('it holds', holds);

async function conditions(name: string): Promise<Record<string, string>> {
  const { status } = await api.client.get<Namespace & KubeObject>(namespaces, name);
  return Object.fromEntries(
    (status?.conditions ?? []).map(({ type, status, message }) => [type, `${status}: ${message}`]),
  );
}

const isGone = (get: Promise<unknown>) =>
  get.then(
    () => false,
    (error) => isReason(error, 'NotFound'),
  );

test('a namespace says what holds it, lets its Pods go before the rest, and goes when nothing is left', async () => {
  const namespace = 'ending';
  await api.client.create(namespaces, { metadata: { name: namespace } });
  await api.client.create(serviceaccounts, { metadata: { name: 'default', namespace } });
  await api.client.create(configmaps, { metadata: { name: 'kept', namespace, finalizers: ['example.com/mine'] } });
  await api.client.create(pods, testPod('held', { namespace, finalizers: ['example.com/pod'] }));
  await api.client.delete(namespaces, namespace);

  const holds = async (message: string) => (await conditions(namespace)).NamespaceContentRemaining === message;
  await eventually(() => holds('True: Some resources are remaining: pods. has 1 resource instances'));
  assert.equal(
    (await conditions(namespace)).NamespaceFinalizersRemaining,
    'True: Some content in the namespace has finalizers remaining: example.com/pod in 1 resource instances',
  );
  const { metadata } = await api.client.get(configmaps, 'kept', namespace);
  assert.equal(metadata?.deletionTimestamp, undefined, 'it waits for the Pods');

  await api.client.patch(pods, 'held', { metadata: { finalizers: null } }, { namespace, ...merge });
  await eventually(() => holds('True: Some resources are remaining: configmaps. has 1 resource instances'));
  assert.match((await conditions(namespace)).NamespaceDeletionContentFailure ?? '', /^False: /);
  await api.client.patch(configmaps, 'kept', { metadata: { finalizers: null } }, { namespace, ...merge });
  await eventually(() => isGone(api.client.get(namespaces, namespace)));
});
