/** Custom kinds over HTTPS: they come, behave as built-in ones do, and go. The kubectls' part stands in kubectl-custom.test.ts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { cronTabs, cronTabVersion } from '@sampan/api/custom/custom-fixtures.ts';
import { isReason } from '@sampan/api/errors.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { type Answer, type ServedApi, serveTestApi } from './api-ask.ts';
import { startTestApi } from './api-test-server.ts';
import { until } from './support/wait.ts';

const crds = resources.customresourcedefinitions;
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const tabs = '/apis/stable.example.com/v1/namespaces/default/crontabs';
const ref: ResourceRef = { group: 'stable.example.com', version: 'v1', resource: 'crontabs', namespaced: true };

const waitUntil = (probe: () => Promise<boolean>) => until('the state waited for', probe);

let running: ServedApi;
let ask: ServedApi['ask'];
let post: ServedApi['post'];
before(async () => {
  running = await serveTestApi();
  ({ ask, post } = running);
  assert.equal((await post(crdPath, cronTabs())).status, 201);
  await established('crontabs.stable.example.com');
});
after(() => running[Symbol.asyncDispose]());

async function established(name: string): Promise<void> {
  await waitUntil(async () => {
    const { json } = await ask(`${crdPath}/${name}`);
    return json.status?.conditions?.some(
      (one: { type: string; status: string }) => one.type === 'Established' && one.status === 'True',
    );
  });
}

const tab = (name: string, spec: object = {}, more: object = {}) => ({
  apiVersion: 'stable.example.com/v1',
  kind: 'CronTab',
  metadata: { name },
  spec: { cronSpec: '* * * * *', ...spec },
  ...more,
});

const send = (method: string, path: string, body: object, type = 'application/json'): Promise<Answer> =>
  ask(path, { method, body: JSON.stringify(body), headers: { 'content-type': type } });

describe('an object of a custom kind', () => {
  test('gets defaults, loses what the schema does not name, and counts its generations', async () => {
    const made = await post(
      tabs,
      tab('made', { unknown: 1, env: [{ name: 'A' }], free: { any: [1] } }, { status: { replicas: 3 } }),
    );
    assert.equal(made.status, 201, made.text);
    const { spec, metadata, status } = made.json;
    assert.deepEqual(spec, { cronSpec: '* * * * *', replicas: 1, env: [{ name: 'A', value: '' }], free: { any: [1] } });
    assert.equal(metadata.generation, 1);
    assert.equal(status, undefined);
    assert.match(String(made.headers.warning), /unknown field \\"spec.unknown\\"/);
    const changed = await send('PATCH', `${tabs}/made`, { spec: { replicas: 2 } }, 'application/merge-patch+json');
    assert.equal(changed.json.metadata.generation, 2);
    const labelled = await send(
      'PATCH',
      `${tabs}/made`,
      { metadata: { labels: { a: 'b' } } },
      'application/merge-patch+json',
    );
    assert.equal(labelled.json.metadata.generation, 2);
  });

  test('with an unknown field is refused where validation is strict', async () => {
    const { status, json } = await post(`${tabs}?fieldValidation=Strict`, tab('strict', { unknown: 1 }));
    assert.equal(status, 400);
    assert.match(json.message, /strict decoding error: unknown field "spec.unknown"/);
  });

  test('that breaks its schema is refused with every cause', async () => {
    const wrong = {
      cronSpec: 'never',
      replicas: 11,
      mode: 'x',
      image: 5,
      tags: ['a', 'a'],
      env: [{ name: 'A' }, { name: 'A' }],
    };
    const { status, json } = await post(tabs, tab('wrong', wrong));
    assert.equal(status, 422);
    const causes = json.details.causes.map((cause: { field: string; reason: string }) => [cause.field, cause.reason]);
    assert.deepEqual(causes.sort(), [
      ['spec.cronSpec', 'FieldValueInvalid'],
      ['spec.env[1]', 'FieldValueDuplicate'],
      ['spec.image', 'FieldValueTypeInvalid'],
      ['spec.mode', 'FieldValueNotSupported'],
      ['spec.replicas', 'FieldValueInvalid'],
      ['spec.tags[1]', 'FieldValueDuplicate'],
    ]);
    assert.match(json.message, /spec.image in body must be of type string: "integer"/);
    assert.match(json.message, /spec.replicas in body should be less than or equal to 10/);
  });

  test('keeps status and everything else apart', async () => {
    const { resourceVersion } = (await post(tabs, tab('parts'))).json.metadata;
    const ready = tab('parts', { replicas: 9 }, { status: { phase: 'Ready' } });
    const unconditional = await send('PUT', `${tabs}/parts/status`, ready);
    assert.equal(unconditional.status, 422, 'an update of a custom kind says of what');
    const conditional = { ...ready, metadata: { ...ready.metadata, resourceVersion } };
    const status = await send('PUT', `${tabs}/parts/status`, conditional);
    assert.equal(status.status, 200, status.text);
    assert.equal(status.json.spec.replicas, 1);
    assert.equal(status.json.status.phase, 'Ready');
    assert.equal(status.json.metadata.generation, 1);
    const lost = tab('parts', { replicas: 3 }, { status: { phase: 'Lost' } });
    const now = { ...lost, metadata: { ...lost.metadata, resourceVersion: status.json.metadata.resourceVersion } };
    const spec = await send('PUT', `${tabs}/parts`, now);
    assert.equal(spec.json.status.phase, 'Ready');
    assert.equal(spec.json.metadata.generation, 2);
  });

  test('has a scale where the definition says where', async () => {
    await post(tabs, tab('scaled'));
    const selector = { status: { replicas: 1, labelSelector: 'a=b' } };
    await send('PATCH', `${tabs}/scaled/status`, selector, 'application/merge-patch+json');
    const scale = await ask(`${tabs}/scaled/scale`);
    assert.deepEqual([scale.json.spec, scale.json.status], [{ replicas: 1 }, { replicas: 1, selector: 'a=b' }]);
    const set = await send('PATCH', `${tabs}/scaled/scale`, { spec: { replicas: 4 } }, 'application/merge-patch+json');
    assert.equal(set.status, 200, set.text);
    assert.equal((await ask(`${tabs}/scaled`)).json.spec.replicas, 4);
  });

  test('takes JSON and merge patches and apply; a strategic merge patch is answered 415', async () => {
    await post(tabs, tab('patched', { image: 'a' }));
    const json = await send(
      'PATCH',
      `${tabs}/patched`,
      [{ op: 'replace', path: '/spec/image', value: 'b' }],
      'application/json-patch+json',
    );
    assert.equal(json.json.spec.image, 'b');
    const strategic = await send(
      'PATCH',
      `${tabs}/patched`,
      { spec: { image: 'c' } },
      'application/strategic-merge-patch+json',
    );
    assert.equal(strategic.status, 415);
    const apply = (manager: string, env: object[]) =>
      send(
        'PATCH',
        `${tabs}/applied?fieldManager=${manager}&force=true`,
        tab('applied', { env }),
        'application/apply-patch+yaml',
      );
    assert.equal((await apply('one', [{ name: 'A', value: '1' }])).status, 201);
    const both = await apply('two', [{ name: 'B', value: '2' }]);
    assert.deepEqual(
      both.json.spec.env.map(({ name }: { name: string }) => name),
      ['A', 'B'],
    );
    const taken = await apply('one', []);
    assert.deepEqual(taken.json.spec.env, [{ name: 'B', value: '2' }]);
  });

  test('is listed as a table of the printer columns, selected by its fields, and watched', async () => {
    await post(tabs, tab('fast', { mode: 'fast', replicas: 7 }));
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const table = await ask(`${tabs}?fieldSelector=spec.mode%3Dfast`, { headers: { accept } });
    assert.deepEqual(
      table.json.columnDefinitions.map(({ name }: { name: string }) => name),
      ['Name', 'Spec', 'Replicas', 'Age'],
    );
    assert.deepEqual(
      table.json.rows.map(({ cells }: { cells: unknown[] }) => cells.slice(0, 3)),
      [['fast', '* * * * *', 7]],
    );
    assert.equal((await ask(`${tabs}?fieldSelector=spec.image%3Dx`)).status, 400);
    const { client } = running.api;
    const { resourceVersion } = await client.list(ref);
    await post(tabs, tab('seen'));
    for await (const event of client.watch(ref, { resourceVersion }, AbortSignal.timeout(60_000))) {
      assert.deepEqual([event.type, (event.object as KubeObject).metadata?.name], ['ADDED', 'seen']);
      break;
    }
  });

  test('cannot be given a metadata of its own making', async () => {
    const { status, json } = await post(tabs, tab('x', {}, { metadata: { name: 'x', labels: { a: 1 } } }));
    assert.equal(status, 400, json.message);
    const named = await post(tabs, tab('Not A Name'));
    assert.equal(named.status, 422);
    const prototype = await ask(tabs, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(tab('proto', { free: {} })).replace(
        '"free":{}',
        '"free":{"__proto__":{"polluted":1}},"__proto__":{"x":1}',
      ),
    });
    assert.equal(prototype.status, 201);
    assert.deepEqual(Object.keys(prototype.json.spec.free), ['__proto__']);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });
});

describe('a definition', () => {
  test('that is not sound is refused, cause by cause', async () => {
    const definition = cronTabs();
    const version = definition.spec.versions[0]!;
    version.schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            properties: { a: {}, b: { type: 'array' }, c: { type: 'string', pattern: '(?=x)' } },
          },
          d: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self != ""' }] },
          e: { type: 'integer', default: 'x' },
        },
      },
    };
    definition.metadata = { name: 'other.stable.example.com' };
    definition.spec.conversion = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'] } };
    const { status, json } = await post(crdPath, definition);
    assert.equal(status, 422, json.message);
    const at = (field: string) =>
      json.details.causes.find((cause: { field: string }) => cause.field.endsWith(field))?.message;
    assert.match(at('metadata.name'), /must be spec.names.plural/);
    assert.match(at('properties[a].type'), /must not be empty/);
    assert.match(at('properties[b].items'), /must be specified/);
    assert.match(at('properties[c].pattern'), /valid regular expression/);
    assert.match(at('x-kubernetes-validations'), /CEL validation rules are not supported/);
    assert.match(at('properties[e].default'), /must be of type integer/);
    assert.match(at('conversion.strategy'), /webhook is not supported/);
  });

  test('whose names another one has is not served until they are free', async () => {
    const second = cronTabs({ names: { plural: 'tables', kind: 'Table', shortNames: ['ct'] } });
    second.metadata = { name: 'tables.stable.example.com' };
    await post(crdPath, second);
    const path = `${crdPath}/tables.stable.example.com`;
    await waitUntil(async () => {
      const conditions = (await ask(path)).json.status.conditions ?? [];
      return conditions.some(
        (one: { type: string; reason: string }) => one.type === 'NamesAccepted' && one.reason === 'ShortNamesConflict',
      );
    });
    assert.equal((await ask('/apis/stable.example.com/v1/tables')).status, 404);
    const names = { spec: { names: { shortNames: ['tb'] } } };
    await send('PATCH', path, names, 'application/merge-patch+json');
    await established('tables.stable.example.com');
    assert.equal((await ask('/apis/stable.example.com/v1/tables')).status, 200);
    await ask(path, { method: 'DELETE' });
  });

  test('of several versions shows each object in the version asked for', async () => {
    const definition = cronTabs({
      group: 'many.example.com',
      versions: [
        cronTabVersion({ name: 'v1beta1', storage: true, served: true }),
        cronTabVersion({ name: 'v1', storage: false }),
        cronTabVersion({ name: 'v1alpha1', storage: false, served: false }),
      ],
    });
    definition.metadata = { name: 'crontabs.many.example.com' };
    await post(crdPath, definition);
    await established('crontabs.many.example.com');
    const at = (version: string) => `/apis/many.example.com/${version}/namespaces/default/crontabs`;
    const body = { ...tab('one'), apiVersion: 'many.example.com/v1' };
    const made = await post(at('v1'), body);
    assert.equal(made.json.apiVersion, 'many.example.com/v1');
    assert.equal((await ask(`${at('v1beta1')}/one`)).json.apiVersion, 'many.example.com/v1beta1');
    const listed = await ask(at('v1'));
    assert.deepEqual(
      listed.json.items.map(({ apiVersion }: KubeObject) => apiVersion),
      ['many.example.com/v1'],
    );
    const patched = await send('PATCH', `${at('v1')}/one`, { spec: { replicas: 2 } }, 'application/merge-patch+json');
    assert.equal(patched.json.apiVersion, 'many.example.com/v1');
    assert.equal((await ask(at('v1alpha1'))).status, 404);
    const group = await ask('/apis/many.example.com');
    assert.equal(group.json.preferredVersion.version, 'v1');
    assert.deepEqual(
      group.json.versions.map(({ version }: { version: string }) => version),
      ['v1', 'v1beta1'],
    );
  });

  test('that gains a default shows it in objects stored before', async () => {
    const definition = cronTabs({ group: 'later.example.com' });
    definition.metadata = { name: 'crontabs.later.example.com' };
    await post(crdPath, definition);
    await established('crontabs.later.example.com');
    const at = '/apis/later.example.com/v1/namespaces/default/crontabs';
    await post(at, { ...tab('old'), apiVersion: 'later.example.com/v1' });
    const path = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/default';
    await send(
      'PATCH',
      `${crdPath}/crontabs.later.example.com`,
      [{ op: 'add', path, value: 'slow' }],
      'application/json-patch+json',
    );
    await waitUntil(async () => (await ask(`${at}/old`)).json.spec.mode === 'slow');
    assert.equal((await ask(at)).json.items[0].spec.mode, 'slow');
  });

  test('appears in discovery, in OpenAPI 2 and 3, and is gone from all when it is deleted', async () => {
    const definition = cronTabs({ group: 'gone.example.com' });
    definition.metadata = { name: 'crontabs.gone.example.com' };
    const kept = await ask('/openapi/v3');
    await post(crdPath, definition);
    await established('crontabs.gone.example.com');
    const names = (await ask('/apis/gone.example.com/v1')).json.resources.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, ['crontabs', 'crontabs/scale', 'crontabs/status']);
    const accept = 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList';
    const groups = async () => JSON.stringify((await ask('/apis', { headers: { accept } })).json);
    assert.match(await groups(), /gone\.example\.com/);
    const index = await ask('/openapi/v3');
    assert.ok('apis/gone.example.com/v1' in index.json.paths);
    assert.deepEqual(index.json.paths['api/v1'], kept.json.paths['api/v1']);
    const document = await ask('/openapi/v3/apis/gone.example.com/v1');
    assert.equal(
      document.json.components.schemas['com.example.gone.v1.CronTab'].properties.spec.properties.mode.type,
      'string',
    );
    assert.ok('com.example.gone.v1.CronTab' in (await ask('/openapi/v2')).json.definitions);
    assert.equal((await ask(`${crdPath}/crontabs.gone.example.com`, { method: 'DELETE' })).status, 200);
    await waitUntil(async () => (await ask('/apis/gone.example.com/v1')).status === 404);
    assert.doesNotMatch(await groups(), /gone\.example\.com/);
    assert.equal('apis/gone.example.com/v1' in (await ask('/openapi/v3')).json.paths, false);
  });

  test('takes its objects with it, after their finalizers', async () => {
    const definition = cronTabs({ group: 'held.example.com' });
    const name = 'crontabs.held.example.com';
    definition.metadata = { name };
    await post(crdPath, definition);
    await established(name);
    const at = '/apis/held.example.com/v1/namespaces/default/crontabs';
    const body = (one: string, finalizers: string[]) => ({
      ...tab(one),
      apiVersion: 'held.example.com/v1',
      metadata: { name: one, finalizers },
    });
    await post(at, body('held', ['example.com/wait']));
    await post(at, body('free', []));
    assert.equal((await ask(`${crdPath}/${name}`, { method: 'DELETE' })).status, 200);
    await waitUntil(async () => (await ask(at)).json.items?.length === 1);
    const dying = await ask(`${crdPath}/${name}`);
    assert.ok(
      dying.json.status.conditions.some(
        (one: { type: string; status: string }) => one.type === 'Terminating' && one.status === 'True',
      ),
    );
    assert.equal((await post(at, body('late', []))).status, 405);
    await send('PATCH', `${at}/held`, { metadata: { finalizers: null } }, 'application/merge-patch+json');
    await waitUntil(async () => (await ask(`${crdPath}/${name}`)).status === 404);
    await waitUntil(async () => (await ask(at)).status === 404);
  });
});

test('a server that starts again serves what was defined before', async () => {
  const store = createMemoryStore();
  const keep = { ...store, close: async () => {} };
  const wrapped = new Proxy(store, {
    get: (target, name) => (name === 'close' ? keep.close : Reflect.get(target, name).bind(target)),
  });
  {
    await using first = await startTestApi({ store: wrapped });
    await first.client.create(crds, cronTabs());
    await waitUntil(() =>
      first.client.create(ref, { ...tab('kept'), metadata: { name: 'kept', namespace: 'default' } }).then(
        () => true,
        (error) => {
          if (isReason(error, 'NotFound')) return false;
          throw error;
        },
      ),
    );
  }
  await using second = await startTestApi({ store });
  assert.equal((await second.client.get<KubeObject>(ref, 'kept', 'default')).metadata?.name, 'kept');
});
