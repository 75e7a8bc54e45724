import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

const { pods, configmaps, namespaces, nodes, serviceaccounts } = resources;
const merge = 'application/merge-patch+json' as const;

function refuses(reason: string, message: string | RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof SampanError, String(error));
    assert.equal(error.reason, reason);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  };
}

type Config = KubeObject & { data?: Record<string, string> };
const config = (name: string): Config => ({
  metadata: { name, namespace: 'default' },
  data: { a: '1' },
});

describe('create', () => {
  test('fills in what the server knows and answers with a version', async () => {
    const made = await api.client.create<TestPod>(pods, testPod('made'));
    assert.match(made.metadata?.uid ?? '', /^[0-9a-f-]{36}$/);
    assert.match(made.metadata?.resourceVersion ?? '', /^\d+$/);
    assert.equal(made.status?.phase, 'Pending');
    assert.equal(made.spec.serviceAccountName, 'default');
    assert.deepEqual(await api.client.get(pods, 'made', 'default'), made);
  });

  test('refuses a second object of the same name', async () => {
    await api.client.create(configmaps, config('twice'));
    await assert.rejects(
      api.client.create(configmaps, config('twice')),
      refuses('AlreadyExists', 'configmaps "twice" already exists'),
    );
  });

  test('lets exactly one of many win that want the same name at once', async () => {
    const tries = Array.from({ length: 20 }, () => api.client.create(configmaps, config('race')));
    const results = await Promise.allSettled(tries);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('owners are counted once each, however many there are', { timeout: 60_000 }, async () => {
    const owner = (i: number) => ({ apiVersion: 'v1', kind: 'Pod', name: `p${i}`, uid: `u${i}` });
    const ownerReferences = [
      ...Array.from({ length: 20_000 }, (_, i) => owner(i)),
      owner(1),
      { ...owner(2), controller: true },
    ];
    const { name, namespace } = config('owned').metadata!;
    const made = await api.client.create<KubeObject>(configmaps, { metadata: { name, namespace, ownerReferences } });
    assert.equal(made.metadata?.ownerReferences?.length, 20_001);
  });

  test('makes a name out of generateName', async () => {
    const made = await api.client.create<KubeObject>(configmaps, {
      metadata: { generateName: 'gen-', namespace: 'default' },
    });
    assert.match(made.metadata?.name ?? '', /^gen-[a-z0-9]{5}$/);
  });

  test('names every field that is wrong', async () => {
    const pod = { metadata: { name: 'Bad_Name', namespace: 'default' }, spec: { containers: [] } };
    await assert.rejects(api.client.create(pods, pod), (error: SampanError) => {
      assert.equal(error.reason, 'Invalid');
      assert.match(error.message, /^Pod "Bad_Name" is invalid: \[/);
      assert.deepEqual(error.details.causes?.map(({ field }) => field).sort(), ['metadata.name', 'spec.containers']);
      return true;
    });
  });

  test('refuses fields it does not know, by their path', async () => {
    const pod = testPod('typo');
    pod.spec.containers[0]!.imagee = 'x';
    await assert.rejects(
      api.client.create(pods, pod),
      refuses('BadRequest', /strict decoding error: unknown field "spec.containers\[0\].imagee"$/),
    );
  });

  test('refuses a namespace that is not there', async () => {
    await assert.rejects(
      api.client.create(configmaps, { metadata: { name: 'x', namespace: 'nowhere' } }),
      refuses('NotFound', 'namespaces "nowhere" not found'),
    );
  });

  test('refuses a namespace that is ending', async () => {
    await api.client.create(namespaces, { metadata: { name: 'ending' } });
    await api.client.delete(namespaces, 'ending');
    await assert.rejects(
      api.client.create(configmaps, { metadata: { name: 'x', namespace: 'ending' } }),
      refuses(
        'Forbidden',
        'configmaps "x" is forbidden: unable to create new content in namespace ending because it is being terminated',
      ),
    );
  });

  test('refuses a body of another kind, version or namespace', async () => {
    await assert.rejects(
      api.client.create(configmaps, { ...config('x'), kind: 'Secret' }),
      refuses('BadRequest', /cannot be handled as a ConfigMap/),
    );
    await assert.rejects(
      api.client.create(configmaps, { ...config('x'), apiVersion: 'v2' }),
      refuses('BadRequest', 'the API version in the data (v2) does not match the expected API version (v1)'),
    );
    await assert.rejects(
      api.client.create(configmaps, config('x'), { namespace: 'kube-system' }),
      refuses('BadRequest', /namespace of the provided object does not match/),
    );
  });
});

describe('update', () => {
  test('refuses a version that is no longer current, and writes without one', async () => {
    const made = await api.client.create(configmaps, config('upd'));
    await api.client.update(configmaps, { ...made, data: { a: '2' } });
    await assert.rejects(
      api.client.update(configmaps, { ...made, data: { a: '3' } }),
      refuses(
        'Conflict',
        'Operation cannot be fulfilled on configmaps "upd": the object has been modified; please apply your changes to the latest version and try again',
      ),
    );
    const { resourceVersion: _, ...metadata } = made.metadata ?? {};
    const forced = await api.client.update(configmaps, { ...made, metadata, data: { a: '4' } });
    assert.deepEqual(forced.data, { a: '4' });
  });

  test('keeps the version when nothing changes', async () => {
    const made = await api.client.create(configmaps, config('noop'));
    const same = await api.client.update(configmaps, made);
    assert.equal(same.metadata?.resourceVersion, made.metadata?.resourceVersion);
  });

  test('does not create', async () => {
    await assert.rejects(
      api.client.update(configmaps, config('absent')),
      refuses('NotFound', 'configmaps "absent" not found'),
    );
  });

  test('refuses the uid of an object that was there before', async () => {
    await api.client.create(configmaps, config('again'));
    const stale = { ...config('again'), metadata: { name: 'again', namespace: 'default', uid: 'other' } };
    await assert.rejects(
      api.client.update(configmaps, stale),
      refuses('Conflict', /Precondition failed: UID in precondition: other/),
    );
  });

  test('of status leaves the spec alone, and the other way round', async () => {
    const made = await api.client.create<TestPod>(pods, testPod('sub'));
    const changed = structuredClone(made);
    changed.status = { phase: 'Running' };
    changed.spec.containers[0]!.image = 'other:2';
    const viaStatus = await api.client.update(pods, changed, { subresource: 'status' });
    assert.equal(viaStatus.status?.phase, 'Running');
    assert.equal(viaStatus.spec.containers[0]?.image, 'registry.example/app:1');
    const viaSpec = await api.client.update(pods, {
      ...changed,
      metadata: { ...changed.metadata, resourceVersion: undefined },
      status: { phase: 'Failed' },
    });
    assert.equal(viaSpec.status?.phase, 'Running');
    assert.equal(viaSpec.spec.containers[0]?.image, 'other:2');
  });
});

describe('patch', () => {
  test('of many writers at once loses none', async () => {
    await api.client.create(configmaps, config('busy'));
    await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        api.client.patch(configmaps, 'busy', { data: { [`k${i}`]: 'x' } }, { namespace: 'default', type: merge }),
      ),
    );
    const { data } = await api.client.get<KubeObject & { data: object }>(configmaps, 'busy', 'default');
    assert.deepEqual(Object.keys(data).sort(), ['a', 'k0', 'k1', 'k2', 'k3', 'k4', 'k5']);
  });

  test('that names an old version is a conflict', async () => {
    const made = await api.client.create(configmaps, config('old'));
    await api.client.update(configmaps, { ...made, data: { a: '2' } });
    const patch = { metadata: { resourceVersion: made.metadata?.resourceVersion }, data: { a: '3' } };
    await assert.rejects(
      api.client.patch(configmaps, 'old', patch, { namespace: 'default', type: merge }),
      refuses('Conflict', /the object has been modified/),
    );
  });

  test('merges lists by key when strategic, and replaces them when not', async () => {
    await api.client.create(pods, testPod('strategic'));
    const patch = { spec: { containers: [{ name: 'main', image: 'new:1' }] } };
    const type = 'application/strategic-merge-patch+json';
    const patched = await api.client.patch<TestPod>(pods, 'strategic', patch, { namespace: 'default', type });
    assert.equal(patched.spec.containers[0]?.image, 'new:1');
    assert.equal(patched.spec.containers[0]?.imagePullPolicy, 'IfNotPresent');
  });

  test('of a kind this server does not do is refused by name', async () => {
    const type = 'application/apply-patch+cbor' as 'application/json-patch+json';
    await assert.rejects(
      api.client.patch(configmaps, 'busy', {}, { namespace: 'default', type }),
      refuses('UnsupportedMediaType', /accepted media types include: application\/json-patch\+json, /),
    );
  });
});

describe('delete', () => {
  test('of a Pod nobody runs is at once', async () => {
    await api.client.create(pods, testPod('gone'));
    await api.client.delete(pods, 'gone', { namespace: 'default' });
    await assert.rejects(api.client.get(pods, 'gone', 'default'), refuses('NotFound', 'pods "gone" not found'));
  });

  test('of a running Pod waits for the node, and a second one can only shorten the wait', async () => {
    await api.client.create(nodes, { metadata: { name: 'n1' } });
    await api.client.create(pods, testPod('runs'));
    await api.client.create(
      pods,
      {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: 'runs' },
        target: { kind: 'Node', name: 'n1' },
      } as KubeObject,
      { namespace: 'default', name: 'runs', subresource: 'binding' },
    );
    const first = await api.client.delete(pods, 'runs', { namespace: 'default' });
    assert.equal(first.metadata?.deletionGracePeriodSeconds, 30);
    assert.ok(first.metadata?.deletionTimestamp);
    const longer = await api.client.delete(pods, 'runs', { namespace: 'default', gracePeriodSeconds: 60 });
    assert.equal(longer.metadata?.deletionGracePeriodSeconds, 30);
    const shorter = await api.client.delete(pods, 'runs', { namespace: 'default', gracePeriodSeconds: 5 });
    assert.equal(shorter.metadata?.deletionGracePeriodSeconds, 5);
    assert.equal(
      Date.parse(String(first.metadata?.deletionTimestamp)) - Date.parse(String(shorter.metadata?.deletionTimestamp)),
      25_000,
    );
    await api.client.delete(pods, 'runs', { namespace: 'default', gracePeriodSeconds: 0 });
    await assert.rejects(api.client.get(pods, 'runs', 'default'), refuses('NotFound', /not found/));
  });

  test('waits for finalizers, and ends with the last of them', async () => {
    const made = await api.client.create<KubeObject>(configmaps, {
      metadata: { name: 'held', namespace: 'default', finalizers: ['example.com/hold'] },
    });
    const asked = await api.client.delete(configmaps, 'held', { namespace: 'default' });
    assert.ok(asked.metadata?.deletionTimestamp);
    const held = await api.client.get(configmaps, 'held', 'default');
    assert.equal(held.metadata?.uid, made.metadata?.uid);
    await api.client.patch(
      configmaps,
      'held',
      { metadata: { finalizers: null } },
      { namespace: 'default', type: merge },
    );
    await assert.rejects(api.client.get(configmaps, 'held', 'default'), refuses('NotFound', /not found/));
  });

  test('holds to its preconditions', async () => {
    await api.client.create(configmaps, config('pre'));
    const preconditions = { uid: 'other' };
    await assert.rejects(
      api.client.delete(configmaps, 'pre', { namespace: 'default', preconditions }),
      refuses('Conflict', /the UID in the precondition \(other\) does not match the UID in record/),
    );
  });

  test('of a namespace only begins its end, which finalize completes', async () => {
    await api.client.create(namespaces, { metadata: { name: 'two-steps' } });
    await api.client.delete(namespaces, 'two-steps');
    const ending = await api.client.get<KubeObject & { spec: object; status: { phase: string } }>(
      namespaces,
      'two-steps',
    );
    assert.equal(ending.status.phase, 'Terminating');
    await api.client.update(namespaces, { ...ending, spec: { finalizers: [] } }, { subresource: 'finalize' });
    await assert.rejects(
      api.client.get(namespaces, 'two-steps'),
      refuses('NotFound', 'namespaces "two-steps" not found'),
    );
  });

  test('of the namespaces the system needs is refused', async () => {
    await assert.rejects(
      api.client.delete(namespaces, 'default'),
      refuses('Forbidden', 'namespaces "default" is forbidden: this namespace may not be deleted'),
    );
  });
});

describe('list', () => {
  before(async () => {
    await api.client.create(namespaces, { metadata: { name: 'lists' } });
    for (let i = 0; i < 7; i++) {
      const metadata = { name: `c${i}`, namespace: 'lists', labels: { parity: i % 2 ? 'odd' : 'even' } };
      await api.client.create(configmaps, { metadata });
    }
  });
  const names = ({ items }: { items: KubeObject[] }) => items.map(({ metadata }) => metadata?.name);

  test('goes on page by page in the moment it began, whatever is written meanwhile', async () => {
    const first = await api.client.list(configmaps, { namespace: 'lists', limit: 3 });
    assert.deepEqual(names(first), ['c0', 'c1', 'c2']);
    await api.client.create(configmaps, { metadata: { name: 'c22', namespace: 'lists' } });
    await api.client.delete(configmaps, 'c4', { namespace: 'lists' });
    const second = await api.client.list(configmaps, { namespace: 'lists', limit: 3, continue: first.continue });
    assert.deepEqual(names(second), ['c3', 'c4', 'c5']);
    assert.equal(second.resourceVersion, first.resourceVersion);
    const third = await api.client.list(configmaps, { namespace: 'lists', limit: 3, continue: second.continue });
    assert.deepEqual([names(third), third.continue], [['c6'], undefined]);
    assert.deepEqual(names(await api.client.list(configmaps, { namespace: 'lists' })), [
      'c0',
      'c1',
      'c2',
      'c22',
      'c3',
      'c5',
      'c6',
    ]);
  });

  test('selects by label and field', async () => {
    const odd = await api.client.list(configmaps, { namespace: 'lists', labelSelector: 'parity=odd' });
    assert.deepEqual(names(odd), ['c1', 'c3', 'c5']);
    const some = await api.client.list(configmaps, {
      labelSelector: 'parity in (odd)',
      fieldSelector: 'metadata.name=c3',
    });
    assert.deepEqual(names(some), ['c3']);
    await assert.rejects(
      api.client.list(configmaps, { fieldSelector: 'data.a=1' }),
      refuses('BadRequest', '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    );
  });

  test('sees every write that was answered before it', async () => {
    for (let i = 0; i < 20; i++) {
      await api.client.create(configmaps, { metadata: { name: `seen-${i}`, namespace: 'lists' } });
      const { items } = await api.client.list(configmaps, {
        namespace: 'lists',
        fieldSelector: `metadata.name=seen-${i}`,
      });
      assert.equal(items.length, 1);
    }
  });

  test('of a page whose moment is forgotten says so', async () => {
    const first = await api.client.list(configmaps, { namespace: 'lists', limit: 1 });
    await api.client.create(configmaps, { metadata: { name: 'later', namespace: 'lists' } });
    await api.store.compact(await api.store.revision());
    await assert.rejects(
      api.client.list(configmaps, { namespace: 'lists', limit: 1, continue: first.continue }),
      refuses('Expired', /^The provided continue parameter is too old/),
    );
  });

  test("hands out objects that cannot be changed behind the server's back", async () => {
    const { items } = await api.client.list<KubeObject>(serviceaccounts, { namespace: 'default' });
    assert.throws(() => {
      items[0]!.metadata!.name = 'changed';
    }, TypeError);
  });
});
