/** Server-side apply as kubectl and plain requests ask for it, over TLS. No node and no controllers run here. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManagedEntry } from '@sampan/api/apply/managers.ts';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { cronTabs } from '@sampan/api/custom/custom-fixtures.ts';
import { isReason } from '@sampan/api/errors.ts';
import { type Ask, inDefault, type ServedApi, serveTestApi } from './api-ask.ts';
import { findKubectls, type KubectlResult, runKubectl } from './kubectl-server.ts';
import { until } from './support/wait.ts';

const deployments = { group: 'apps', version: 'v1', resource: 'deployments', namespaced: true };
type Deployment = KubeObject & { spec: { replicas: number; template: { spec: { containers: object[] } } } };

let served: ServedApi;
before(async () => {
  served = await serveTestApi();
});
after(() => served[Symbol.asyncDispose]());

const ownersOf = (object: KubeObject) => (object.metadata?.managedFields ?? []) as ManagedEntry[];
const managersOf = (object: KubeObject) => ownersOf(object).map(({ manager, operation }) => `${manager} ${operation}`);

interface Shape {
  replicas?: number;
  image?: string;
  env?: string[];
  labels?: string;
}

const manifest = ({ replicas, image = 'registry.example/web:1', env = ['A', 'B'], labels = 'tier: front' }: Shape) => `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {${labels}}
spec:
${replicas === undefined ? '' : `  replicas: ${replicas}\n`}  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: ${image}
        env: [${env.map((name) => `{name: ${name}, value: x}`).join(', ')}]
        ports: [{containerPort: 80}]
`;

const wanted = findKubectls().filter(({ version }) => version === '1.27' || version === '1.33');
if (wanted.length === 0) {
  test('kubectl apply', (t) => t.skip('no kubectl 1.27 or 1.33 here; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

for (const kubectl of wanted) {
  describe(`kubectl ${kubectl.version}`, () => {
    const namespace = `apply-${kubectl.version.replace('.', '-')}`;

    function run(args: string[], input?: string): Promise<KubectlResult> {
      const options = { kubeconfig: served.served.kubeconfig, home: served.api.directory };
      return runKubectl(kubectl, ['-n', namespace, ...args], { ...options, ...(input ? { input } : {}) });
    }

    async function ok(args: string[], input?: string): Promise<string> {
      const { code, stdout, stderr } = await run(args, input);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    }

    const apply = (shape: Shape, ...more: string[]) =>
      ok(['apply', '--server-side', '-f', '-', ...more], manifest(shape));
    const stored = () => served.api.client.get<Deployment>(deployments, 'web', namespace);
    const envOf = ({ spec }: Deployment) =>
      (spec.template.spec.containers[0] as { env?: { name: string }[] }).env?.map(({ name }) => name);

    before(() => served.api.client.create(resources.namespaces, { metadata: { name: namespace } }));

    test('creates by apply, shows owners when asked to, and changes nothing the second time', async () => {
      assert.match(await apply({ replicas: 2 }), /deployment\.apps\/web serverside-applied/);
      const { metadata } = await stored();
      await apply({ replicas: 2 });
      assert.equal((await stored()).metadata?.resourceVersion, metadata?.resourceVersion);
      assert.doesNotMatch(await ok(['get', 'deployment', 'web', '-o', 'yaml']), /managedFields/);
      const shown = await ok(['get', 'deployment', 'web', '-o', 'yaml', '--show-managed-fields']);
      assert.match(shown, /managedFields:\n {2}- apiVersion: apps\/v1\n {4}fieldsType: FieldsV1\n/);
      assert.match(shown, /manager: kubectl\n {4}operation: Apply/);
      assert.match(shown, /k:\{"containerPort":80,"protocol":"TCP"\}:/);
    });

    test('is told who owns what it wants to change, and takes it over by force', async () => {
      const patch = '{"spec":{"replicas":5}}';
      await ok(['patch', 'deployment', 'web', '--type=merge', '--field-manager=scaler', '-p', patch]);
      const { code, stderr } = await run(['apply', '--server-side', '-f', '-'], manifest({ replicas: 2 }));
      assert.equal(code, 1);
      assert.match(stderr, /Apply failed with 1 conflict: conflict with "scaler" using apps\/v1: \.spec\.replicas/);
      assert.match(stderr, /--force-conflicts/);
      await apply({}, '--field-manager=other');
      assert.equal((await stored()).spec.replicas, 5);
      await apply({ replicas: 2 }, '--force-conflicts');
      assert.equal((await stored()).spec.replicas, 2);
      assert.deepEqual(managersOf(await stored()).sort(), ['kubectl Apply', 'other Apply']);
    });

    test('takes away what it no longer applies, unless another wants it too', async () => {
      await apply({ replicas: 2, env: ['A', 'B', 'C'] });
      await apply({ replicas: 2, env: ['C', 'A'] });
      // `other` applied A and B above.
      assert.deepEqual(envOf(await stored())?.sort(), ['A', 'B', 'C']);
      await apply({ env: ['A'] }, '--field-manager=other');
      assert.deepEqual(envOf(await stored()), ['C', 'A']);
      await apply({ replicas: 2, env: ['C', 'A'], labels: '' });
      assert.deepEqual((await stored()).metadata?.labels, { tier: 'front' });
      await apply({ env: ['A'], labels: '' }, '--field-manager=other');
      assert.equal((await stored()).metadata?.labels, undefined);
    });

    test('goes on with what kubectl applied from its own side', async () => {
      const rename = (text: string) => text.replace('name: web\n  labels', 'name: grown\n  labels');
      await ok(['apply', '-f', '-'], rename(manifest({ replicas: 1, env: ['A', 'B'] })));
      const before = await served.api.client.get<Deployment>(deployments, 'grown', namespace);
      assert.deepEqual(managersOf(before), ['kubectl-client-side-apply Update']);
      const next = rename(manifest({ image: 'registry.example/web:2', env: ['B'] }));
      await ok(['apply', '--server-side', '-f', '-'], next);
      const after = await served.api.client.get<Deployment>(deployments, 'grown', namespace);
      assert.deepEqual(envOf(after), ['B']);
      assert.ok(managersOf(after).includes('kubectl Apply'));
      assert.ok(!managersOf(after).includes('kubectl-client-side-apply Update'));
      await ok(['apply', '-f', '-'], rename(manifest({ image: 'registry.example/web:3', env: ['B'] })));
    });

    test('takes what kubectl itself writes, nulls and empty objects and all', async () => {
      const args = [
        'create',
        'deployment',
        'written',
        '--image=registry.example/a:1',
        '--dry-run=client',
        '-o',
        'yaml',
      ];
      const written = await ok(args);
      assert.match(written, /creationTimestamp: null/);
      await ok(['apply', '--server-side', '-f', '-'], written);
      const { metadata } = await served.api.client.get(deployments, 'written', namespace);
      await ok(['apply', '--server-side', '-f', '-'], written);
      const after = await served.api.client.get(deployments, 'written', namespace);
      assert.equal(after.metadata?.resourceVersion, metadata?.resourceVersion);
      await ok(['apply', '--server-side', '--field-manager=other', '-f', '-'], written);
      await ok(['delete', 'deployment', 'written']);
    });

    test('tries every write without making it', async () => {
      const { metadata } = await stored();
      const dry = '--dry-run=server';
      await ok(['apply', '--server-side', '-f', '-', dry], manifest({ replicas: 9 }));
      await ok(['patch', 'deployment', 'web', '--type=merge', dry, '-p', '{"spec":{"replicas":8}}']);
      await ok(['scale', 'deployment', 'web', '--replicas=7', dry]);
      await ok(['label', 'deployment', 'web', 'a=b', dry]);
      await ok(['create', 'configmap', 'unmade', dry]);
      await ok(['delete', 'deployment', 'web', dry]);
      await ok(['delete', 'deployments', '--all', dry]);
      await ok(
        ['apply', '--server-side', '-f', '-', dry],
        manifest({}).replace('name: web\n  labels', 'name: unmade\n  labels'),
      );
      const now = await served.api.client.list<Deployment>(deployments, { namespace });
      assert.deepEqual(
        now.items.map((one) => one.metadata?.name),
        ['grown', 'web'],
      );
      assert.equal((await stored()).metadata?.resourceVersion, metadata?.resourceVersion);
      assert.match((await run(['get', 'configmap', 'unmade'])).stderr, /not found/);
    });
  });
}

describe('a request to apply', () => {
  const path = (name: string, query: string) => `${inDefault}/configmaps/${name}?${query}`;
  const send = (url: string, body: string, more: Ask = {}) =>
    served.ask(url, { method: 'PATCH', headers: { 'content-type': 'application/apply-patch+yaml' }, body, ...more });
  const config = (name: string, data: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {${data}}\n`;

  test('answers 201 when it creates, 200 when it changes, and 409 with a cause a field', async () => {
    const made = await send(path('plain', 'fieldManager=a'), config('plain', 'x: "1", y: "1"'));
    assert.equal(made.status, 201);
    const again = await send(path('plain', 'fieldManager=a'), config('plain', 'x: "2", y: "1"'));
    assert.deepEqual([again.status, again.json.data], [200, { x: '2', y: '1' }]);
    const fought = await send(path('plain', 'fieldManager=b'), config('plain', 'x: "3", y: "3"'));
    assert.deepEqual([fought.status, fought.json.reason], [409, 'Conflict']);
    assert.equal(fought.json.message, 'Apply failed with 2 conflicts: conflicts with "a":\n- .data.x\n- .data.y');
    assert.deepEqual(fought.json.details.causes[1], {
      reason: 'FieldManagerConflict',
      message: 'conflict with "a"',
      field: '.data.y',
    });
    const forced = await send(path('plain', 'fieldManager=b&force=true'), config('plain', 'x: "3"'));
    assert.deepEqual([forced.status, forced.json.data], [200, { x: '3', y: '1' }]);
  });

  test('is refused without a manager, with force where none is, and in CBOR', async () => {
    const unnamed = await send(path('plain', ''), config('plain', ''));
    assert.equal(unnamed.status, 422);
    assert.equal(
      unnamed.json.message,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    const headers = (type: string) => ({ headers: { 'content-type': type } });
    const forced = await send(path('plain', 'force=true'), '{}', headers('application/merge-patch+json'));
    assert.equal(forced.status, 422);
    assert.match(forced.json.message, /force: Forbidden: may not be specified for non-apply patch/);
    const cbor = await send(path('plain', 'fieldManager=a'), '\xa0', headers('application/apply-patch+cbor'));
    assert.deepEqual([cbor.status, cbor.json.reason], [415, 'UnsupportedMediaType']);
    const broken = await send(path('plain', 'fieldManager=a'), 'a: [');
    assert.equal(broken.status, 400);
  });

  test('to status owns nothing but status, beside the same manager’s apply to the object', async () => {
    const url = '/apis/apps/v1/namespaces/default/deployments/web';
    const made = await send(`${url}?fieldManager=a`, manifest({ replicas: 1 }));
    assert.equal(made.status, 201, made.text);
    const head = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n';
    const status = `${head}spec: {replicas: 9}\nstatus:\n  conditions: [{type: Example, status: "True"}]\n`;
    const told = await send(`${url}/status?fieldManager=a`, status);
    assert.equal(told.status, 200, told.text);
    assert.deepEqual([told.json.spec.replicas, told.json.status.conditions.length], [1, 1]);
    const teller = ownersOf(told.json).find(({ subresource }) => subresource === 'status');
    assert.deepEqual(teller?.fieldsV1, {
      'f:status': {
        'f:conditions': { 'k:{"type":"Example"}': { '.': {}, 'f:status': {}, 'f:type': {} } },
      },
    });
    const gone = await send(`${url}/status?fieldManager=a`, head);
    assert.deepEqual([gone.json.spec.replicas, gone.json.status?.conditions], [1, undefined]);
  });

  test('to scale owns the number of replicas, by the subresource', async () => {
    const url = '/apis/apps/v1/namespaces/default/deployments/web';
    const scale = (replicas: number) =>
      `apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: web}\nspec: {replicas: ${replicas}}\n`;
    const fought = await send(`${url}/scale?fieldManager=s`, scale(3));
    assert.match(fought.json.message, /conflict with "a": \.spec\.replicas$/);
    const forced = await send(`${url}/scale?fieldManager=s&force=true`, scale(3));
    assert.deepEqual([forced.status, forced.json.kind, forced.json.spec.replicas], [200, 'Scale', 3]);
    const { json } = await served.ask(url);
    assert.equal(json.spec.replicas, 3);
    const owner = ownersOf(json).find(({ manager }) => manager === 's');
    assert.deepEqual([owner?.subresource, owner?.fieldsV1], ['scale', { 'f:spec': { 'f:replicas': {} } }]);
  });

  test('to a custom kind keeps apart what its schema says is apart', async () => {
    const { client } = served.served;
    await client.create(resources.customresourcedefinitions, cronTabs());
    const url = '/apis/stable.example.com/v1/namespaces/default/crontabs';
    await until('the kind to be served', async () => (await served.ask(url)).status === 200);
    const tab = (spec: string) =>
      `apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: tab}\nspec: {${spec}}\n`;
    const schedule = 'cronSpec: "* * * * *"';
    const made = await send(`${url}/tab?fieldManager=a`, tab(`${schedule}, env: [{name: A, value: x}], tags: [one]`));
    assert.equal(made.status, 201, made.text);
    const shared = await send(`${url}/tab?fieldManager=b`, tab('env: [{name: B, value: x}], tags: [two]'));
    assert.deepEqual(
      shared.json.spec.env.map(({ name }: { name: string }) => name),
      ['A', 'B'],
    );
    assert.deepEqual(shared.json.spec.tags, ['one', 'two']);
    const fought = await send(`${url}/tab?fieldManager=b`, tab('env: [{name: A, value: y}]'));
    assert.equal(fought.json.message, 'Apply failed with 1 conflict: conflict with "a": .spec.env[name="A"].value');
    const left = await send(`${url}/tab?fieldManager=a`, tab(schedule));
    assert.deepEqual([left.json.spec.env, left.json.spec.tags], [[{ name: 'B', value: 'x' }], ['two']]);
    const unknown = await send(`${url}/tab?fieldManager=a`, tab('cronSpecc: x'));
    assert.deepEqual(
      [unknown.status, /\.spec\.cronSpecc: field not declared in schema/.test(unknown.text)],
      [400, true],
    );
  });

  test('tries without writing when told dryRun=All', async () => {
    const tried = await send(path('tried', 'fieldManager=a&dryRun=All'), config('tried', 'x: "1"'));
    assert.deepEqual([tried.status, tried.json.data], [201, { x: '1' }]);
    assert.equal((await served.ask(`${inDefault}/configmaps/tried`)).status, 404);
  });

  test('is not the only write that can be tried: PUT, eviction and binding can too', async () => {
    const before = await served.ask(`${inDefault}/pods/shown`);
    const labelled = { ...before.json, metadata: { ...before.json.metadata, labels: { tried: 'yes' } } };
    const put = await served.post(`${inDefault}/pods/shown?dryRun=All`, labelled, { method: 'PUT' });
    assert.deepEqual([put.status, put.json.metadata.labels], [200, { tried: 'yes' }]);
    const metadata = { name: 'shown' };
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata };
    assert.equal((await served.post(`${inDefault}/pods/shown/eviction?dryRun=All`, eviction)).status, 201);
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata, target: { kind: 'Node', name: 'n' } };
    assert.equal((await served.post(`${inDefault}/pods/shown/binding?dryRun=All`, binding)).status, 201);
    assert.deepEqual((await served.ask(`${inDefault}/pods/shown`)).json, before.json);
  });

  test('is what the client over HTTPS sends', async () => {
    const { client } = served.served;
    const options = { namespace: 'default', type: 'application/apply-patch+yaml' } as const;
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'typed' }, data: { x: '1' } };
    const made = await client.patch(resources.configmaps, 'typed', body, { ...options, fieldManager: 'me' });
    assert.deepEqual(managersOf(made), ['me Apply']);
    const other = { ...body, data: { x: '2' } };
    await assert.rejects(
      client.patch(resources.configmaps, 'typed', other, { ...options, fieldManager: 'you' }),
      (error) => isReason(error, 'Conflict') && error.details.causes?.[0]?.reason === 'FieldManagerConflict',
    );
    const forced = await client.patch(resources.configmaps, 'typed', other, {
      ...options,
      fieldManager: 'you',
      force: true,
    });
    assert.deepEqual(managersOf(forced), ['you Apply']);
  });
});
