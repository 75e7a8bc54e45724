import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';

const { pods, serviceaccounts, namespaces } = resources;
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
let api: TestApi;
const admitted: string[] = [];
before(async () => {
  const watcher = {
    name: 'watcher',
    mutate: ({ object }: { object: KubeObject | undefined }) => {
      if (object?.metadata?.name === 'refused') throw new SampanError('Forbidden', 'not that one');
      if (object?.metadata) object.metadata.annotations = { ...object.metadata.annotations, seen: 'yes' };
    },
    validate: ({ operation, name }: { operation: string; name: string }) => void admitted.push(`${operation} ${name}`),
  };
  api = await startTestApi({ more: { admission: [watcher] } });
  await api.client.create(serviceaccounts, {
    metadata: { name: 'puller', namespace: 'default' },
    imagePullSecrets: [{ name: 'registry' }],
    automountServiceAccountToken: false,
  } as KubeObject);
});
after(() => api[Symbol.asyncDispose]());

type Mounting = { volumeMounts?: { name: string; mountPath: string }[] };
type Volumes = { name: string; projected?: { sources: object[]; defaultMode: number } }[];

test("a Pod runs as its namespace's default account with its token mounted in every container", async () => {
  const pod = await api.client.create<TestPod>(pods, testPod('plain'));
  const volumes = pod.spec.volumes as Volumes;
  assert.match(volumes[0]?.name ?? '', /^kube-api-access-[a-z0-9]{5}$/);
  assert.equal(volumes[0]?.projected?.sources.length, 3);
  assert.equal(volumes[0]?.projected?.defaultMode, 0o644);
  assert.deepEqual((pod.spec.containers[0] as Mounting).volumeMounts, [
    { name: volumes[0]?.name, readOnly: true, mountPath },
  ]);
  assert.equal(pod.spec.priority, 0);
  assert.equal((pod.spec.tolerations as object[]).length, 2);
  assert.equal(pod.spec.enableServiceLinks, true);
});

test('a container that mounts something of its own there keeps it', async () => {
  const pod = testPod('own');
  pod.spec.volumes = [{ name: 'mine', emptyDir: {} }];
  pod.spec.containers[0]!.volumeMounts = [{ name: 'mine', mountPath }];
  const made = await api.client.create<TestPod>(pods, pod);
  assert.equal((made.spec.volumes as Volumes).length, 1);
});

test('an account says what pull secrets its Pods use and whether they get a token; the Pod has the last word', async () => {
  const pod = testPod('pulls');
  pod.spec.serviceAccountName = 'puller';
  const made = await api.client.create<TestPod>(pods, pod);
  assert.deepEqual(made.spec.imagePullSecrets, [{ name: 'registry' }]);
  assert.equal(made.spec.volumes, undefined);
  const insists = testPod('insists');
  Object.assign(insists.spec, { serviceAccountName: 'puller', automountServiceAccountToken: true });
  assert.equal(((await api.client.create<TestPod>(pods, insists)).spec.volumes as Volumes).length, 1);
});

test('an account that is not there is told', async () => {
  const pod = testPod('nobody');
  pod.spec.serviceAccountName = 'nobody';
  await assert.rejects(api.client.create(pods, pod), (error: SampanError) => {
    assert.equal(
      error.message,
      'pods "nobody" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    );
    return isReason(error, 'Forbidden');
  });
});

test('a default account that comes a moment after its namespace is waited for', async () => {
  await api.client.create(namespaces, { metadata: { name: 'fresh' } });
  const making = api.client.create<TestPod>(pods, testPod('early', { namespace: 'fresh' }));
  await api.client.create(serviceaccounts, { metadata: { name: 'default', namespace: 'fresh' } });
  assert.equal((await making).spec.serviceAccountName, 'default');
});

test('a priority class gives its number, and one that is not there is refused', async () => {
  const pod = testPod('critical');
  pod.spec.priorityClassName = 'system-node-critical';
  assert.equal((await api.client.create<TestPod>(pods, pod)).spec.priority, 2_000_001_000);
  const other = testPod('classless');
  other.spec.priorityClassName = 'nope';
  await assert.rejects(api.client.create(pods, other), (error: SampanError) => {
    assert.equal(error.message, 'pods "classless" is forbidden: no PriorityClass with name nope was found');
    return true;
  });
});

test('plugins of others change and refuse what is written, and see every operation', async () => {
  const made = await api.client.create<KubeObject>(resources.configmaps, {
    metadata: { name: 'mine', namespace: 'default' },
  });
  assert.equal(made.metadata?.annotations?.seen, 'yes');
  await assert.rejects(
    api.client.create(resources.configmaps, { metadata: { name: 'refused', namespace: 'default' } }),
    (error) => isReason(error, 'Forbidden'),
  );
  await api.client.delete(resources.configmaps, 'mine', { namespace: 'default' });
  assert.deepEqual(
    admitted.filter((line) => line.endsWith(' mine')),
    ['CREATE mine', 'DELETE mine'],
  );
});
