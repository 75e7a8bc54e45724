import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManagedEntry } from '@sampan/api/apply/managers.ts';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';
import type { Authorizer } from '../auth/authorizer.ts';

const { configmaps, pods } = resources;
const type = 'application/apply-patch+yaml' as const;
const namespace = 'default';

let api: TestApi;
before(async () => {
  const patchers: Authorizer = {
    authorize: async ({ user, verb }) => ({ allowed: user.name === 'patcher' && verb === 'patch' }),
    rulesFor: async () => ({ resourceRules: [], nonResourceRules: [] }),
  };
  api = await startTestApi({ more: { authorizers: [patchers] } });
});
after(() => api[Symbol.asyncDispose]());

type Config = KubeObject & { data?: Record<string, string> };

const config = (name: string, data: Record<string, string>, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...more },
  data,
});

const apply = (fieldManager: string, object: ReturnType<typeof config>, force = false) =>
  api.client.patch<Config>(configmaps, object.metadata.name, object, { namespace, type, fieldManager, force });

const ownersOf = (object: KubeObject) => (object.metadata?.managedFields ?? []) as ManagedEntry[];

function owned(object: KubeObject): Record<string, unknown> {
  return Object.fromEntries(ownersOf(object).map((entry) => [`${entry.manager} ${entry.operation}`, entry.fieldsV1]));
}

async function failure(write: Promise<unknown>): Promise<SampanError> {
  const error = await write.then(
    () => assert.fail('it was taken'),
    (thrown: unknown) => thrown,
  );
  assert.ok(isReason(error), String(error));
  return error;
}

describe('apply', () => {
  test('creates what is not there, and owns what it says of it', async () => {
    const made = await apply('a', config('new', { x: '1' }));
    assert.deepEqual(made.data, { x: '1' });
    assert.deepEqual(owned(made), { 'a Apply': { 'f:data': { 'f:x': {} } } });
    assert.match(ownersOf(made)[0]?.time ?? '', /^\d{4}-.*Z$/);
  });

  test('of the same again changes nothing', async () => {
    const first = await apply('a', config('same', { x: '1' }));
    const second = await apply('a', config('same', { x: '1' }));
    assert.deepEqual(second, first);
  });

  test('of another value than its owner’s is a conflict that names both; force takes it over', async () => {
    await apply('a', config('fought', { x: '1', y: '1' }));
    const refused = await failure(apply('b', config('fought', { x: '2' })));
    assert.equal(refused.reason, 'Conflict');
    assert.equal(refused.message, 'Apply failed with 1 conflict: conflict with "a": .data.x');
    assert.deepEqual(refused.details.causes, [
      { reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.data.x' },
    ]);
    const forced = await apply('b', config('fought', { x: '2' }), true);
    assert.deepEqual(forced.data, { x: '2', y: '1' });
    assert.deepEqual(owned(forced), {
      'a Apply': { 'f:data': { 'f:y': {} } },
      'b Apply': { 'f:data': { 'f:x': {} } },
    });
  });

  test('of a value that another owns too shares it, and leaves it there until both are gone', async () => {
    await apply('a', config('shared', { x: '1', only: 'a' }));
    await apply('b', config('shared', { x: '1' }));
    const left = await apply('a', config('shared', {}));
    assert.deepEqual(left.data, { x: '1' });
    const gone = await apply('b', config('shared', {}));
    assert.equal(gone.data, undefined);
  });

  test('takes the last label away, and nothing else of metadata', async () => {
    const first = await apply('a', config('labelled', { x: '1' }, { labels: { l: '1' } }));
    const second = await apply('a', config('labelled', { x: '1' }));
    const { labels: _, managedFields: __, resourceVersion: ___, ...kept } = first.metadata ?? {};
    const { managedFields: ____, resourceVersion: _____, ...left } = second.metadata ?? {};
    assert.deepEqual(left, kept);
  });

  test('conflicts with updates are told with their version, several of them by manager', async () => {
    await api.client.create(configmaps, {
      metadata: { name: 'updated', namespace },
      data: { x: '1', y: '1' },
    } as Config);
    const refused = await failure(apply('b', config('updated', { x: '2', y: '2' })));
    assert.equal(
      refused.message,
      'Apply failed with 2 conflicts: conflicts with "test" using v1:\n- .data.x\n- .data.y',
    );
  });

  test('keeps list elements apart by their keys', async () => {
    await api.client.create(pods, testPod('listed'));
    const applied = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'listed', labels: { a: 'b' } },
      spec: { containers: [{ name: 'main', image: 'registry.example/app:2' }] },
    };
    const options = { namespace, type, fieldManager: 'b' };
    const refused = await failure(api.client.patch(pods, 'listed', applied, options));
    assert.equal(
      refused.message,
      'Apply failed with 1 conflict: conflict with "test" using v1: .spec.containers[name="main"].image',
    );
    const pod = await api.client.patch<TestPod>(pods, 'listed', applied, { ...options, force: true });
    assert.deepEqual(owned(pod)['b Apply'], {
      'f:metadata': { 'f:labels': { 'f:a': {} } },
      'f:spec': { 'f:containers': { 'k:{"name":"main"}': { '.': {}, 'f:image': {}, 'f:name': {} } } },
    });
    assert.equal(pod.spec.containers[0]?.imagePullPolicy, 'IfNotPresent');
  });

  test('does not take another spelling for another value', async () => {
    const spec = (cpu: string | number) => ({
      containers: [{ name: 'main', image: 'registry.example/app:1', resources: { requests: { cpu } } }],
    });
    const options = { namespace, type, fieldManager: 'a' };
    const { metadata, ...pod } = testPod('spelled');
    const first = await api.client.patch(pods, 'spelled', { ...pod, metadata, spec: spec('1000m') }, options);
    const other = { ...options, fieldManager: 'b' };
    const second = await api.client.patch<TestPod>(pods, 'spelled', { ...pod, metadata, spec: spec(1) }, other);
    assert.deepEqual(second.spec.containers[0]?.resources, { requests: { cpu: '1' } });
    const again = await api.client.patch(pods, 'spelled', { ...pod, metadata, spec: spec('1.0') }, other);
    assert.deepEqual(again, second);
    assert.notDeepEqual(first, second);
  });

  test('is held to its preconditions', async () => {
    const made = await apply('a', config('held', { x: '1' }));
    await apply('a', config('held', { x: '2' }));
    const { uid, resourceVersion } = made.metadata ?? {};
    const stale = await failure(apply('a', config('held', { x: '3' }, { resourceVersion })));
    assert.match(stale.message, /the object has been modified/);
    const other = await failure(apply('a', config('held', { x: '3' }, { uid: 'other' })));
    assert.match(other.message, /Precondition failed: UID in precondition: other/);
    const nobody = await failure(apply('a', config('nobody', {}, { uid })));
    assert.match(
      nobody.message,
      /uid mismatch: the provided object specified uid .*, and no existing object was found/,
    );
    assert.equal(nobody.reason, 'Conflict');
  });

  test('needs the right to create only where there is nothing yet', async () => {
    const client = api.server.inProcess({ name: 'patcher', groups: [] });
    const options = { namespace, type, fieldManager: 'patcher' };
    const error = await failure(client.patch(configmaps, 'lacking', config('lacking', { x: '1' }), options));
    assert.equal(error.reason, 'Forbidden');
    assert.match(error.message, /cannot create resource "configmaps"/);
    await apply('a', config('lacking', { x: '1' }));
    const patched = await client.patch<Config>(configmaps, 'lacking', config('lacking', { y: '1' }), options);
    assert.deepEqual(patched.data, { x: '1', y: '1' });
  });

  test('is refused for what it may not hold', async () => {
    const withOwners = config('bad', {}, { managedFields: [] });
    assert.equal((await failure(apply('a', withOwners))).message, 'metadata.managedFields must be nil');
    const unknown = { ...config('bad', {}), dataa: {} };
    assert.equal(
      (await failure(apply('a', unknown))).message,
      'failed to create typed patch object (default/bad; /v1, Kind=ConfigMap): .dataa: field not declared in schema',
    );
    const twice = { ...testPod('bad'), spec: { containers: [{ name: 'a' }, { name: 'a' }] } };
    assert.match(
      (await failure(api.client.patch(pods, 'bad', twice, { namespace, type, fieldManager: 'a' }))).message,
      /: \.spec\.containers: duplicate entries for key \[name="a"\]$/,
    );
    const other = { ...config('bad', {}), kind: 'Secret' };
    assert.equal((await failure(apply('a', other))).message, 'invalid object type: /v1, Kind=Secret');
  });
});

describe('managedFields', () => {
  const update = (object: object, subresource?: string) =>
    api.client.update<TestPod>(pods, object as TestPod, subresource ? { subresource } : {});

  test('tell updaters apart by subresource, and give a field to who changed it last', async () => {
    const made = await api.client.create(pods, testPod('tracked', { labels: { a: '1', b: '1' } }));
    assert.equal(JSON.stringify(owned(made)).includes('f:status'), false);
    const running = { ...made, status: { ...made.status, phase: 'Running' } };
    const status = await update(running, 'status');
    const sub = ownersOf(status).find(({ subresource }) => subresource === 'status');
    assert.equal(ownersOf(status).length, 2);
    assert.deepEqual(sub?.fieldsV1, { 'f:status': { 'f:phase': {} } });
    const patched = await api.client.patch<TestPod>(
      pods,
      'tracked',
      { metadata: { labels: { a: '2', b: null } } },
      { namespace, type: 'application/merge-patch+json', fieldManager: 'other' },
    );
    assert.deepEqual(owned(patched)['other Update'], { 'f:metadata': { 'f:labels': { 'f:a': {} } } });
    assert.doesNotMatch(
      JSON.stringify(ownersOf(patched).find((entry) => entry.manager === 'test' && !entry.subresource)?.fieldsV1),
      /"f:a"|"f:b"/,
    );
  });

  test('leave the writer out of a write that changes nothing, and keep its time', async () => {
    const made = await api.client.create(configmaps, {
      metadata: { name: 'idle', namespace },
      data: { x: '1' },
    } as Config);
    const again = await api.client.update<Config>(configmaps, made as Config);
    assert.deepEqual(again, made);
  });

  test('are forgotten when a client says so, and begun anew with the next apply', async () => {
    await api.client.create(configmaps, { metadata: { name: 'reset', namespace }, data: { x: '1' } } as Config);
    const reset = await api.client.patch<Config>(
      configmaps,
      'reset',
      { metadata: { managedFields: [{}] } },
      { namespace, type: 'application/merge-patch+json' },
    );
    assert.deepEqual(ownersOf(reset), []);
    const applied = await apply('a', config('reset', { x: '1', y: '1' }));
    assert.deepEqual(owned(applied), {
      'a Apply': { 'f:data': { 'f:x': {}, 'f:y': {} } },
      'before-first-apply Update': { 'f:data': { '.': {}, 'f:x': {} } },
    });
  });

  test('hold ten updaters; older ones become one', async () => {
    await api.client.create(configmaps, { metadata: { name: 'many', namespace }, data: { k: 'v' } } as Config);
    for (let i = 0; i < 14; i++) {
      const patch = { data: { [`k${i}`]: 'v' } };
      const options = { namespace, type: 'application/merge-patch+json', fieldManager: `m${10 + i}` } as const;
      await api.client.patch(configmaps, 'many', patch, options);
    }
    const managers = ownersOf(await api.client.get(configmaps, 'many', namespace)).map(({ manager }) => manager);
    assert.equal(managers.length, 10);
    assert.ok(managers.includes('ancient-changes'));
    assert.ok(managers.includes('m23'));
  });

  test('of status are apart: an apply to it does not touch what the object’s own apply says', async () => {
    await api.client.create(pods, testPod('applied-status'));
    const applied = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'applied-status' },
      spec: { priority: 7 },
      status: { conditions: [{ type: 'example.com/done', status: 'True' }] },
    };
    const pod = await api.client.patch<TestPod>(pods, 'applied-status', applied, {
      namespace,
      type,
      subresource: 'status',
      fieldManager: 's',
    });
    assert.equal(ownersOf(pod).find(({ manager }) => manager === 's')?.subresource, 'status');
    assert.deepEqual(owned(pod)['s Apply'], {
      'f:status': {
        'f:conditions': { 'k:{"type":"example.com/done"}': { '.': {}, 'f:status': {}, 'f:type': {} } },
      },
    });
    assert.notEqual(pod.spec.priority, 7);
  });
});
