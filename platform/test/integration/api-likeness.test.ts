/** Answers that differed when the same requests were put to kube-apiserver 1.33 beside ours: here as it answers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Ask, inDefault, type ServedApi, serveTestApi } from './api-ask.ts';

let running: ServedApi;
let ask: ServedApi['ask'];
let post: ServedApi['post'];
before(async () => {
  running = await serveTestApi();
  ({ ask, post } = running);
});
after(() => running[Symbol.asyncDispose]());

const configMaps = `${inDefault}/configmaps`;
const configMap = (name: string, metadata: object = {}, data = { a: '1' }) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

function patch(path: string, type: 'json' | 'merge' | 'strategic-merge', body: unknown, headers = {}) {
  const contentType = type === 'json' ? 'application/json-patch+json' : `application/${type}-patch+json`;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return ask(path, { method: 'PATCH', headers: { 'content-type': contentType, ...headers }, body: text });
}

const as = (user: string): Ask => ({ headers: { 'impersonate-user': user, 'content-type': 'application/json' } });

describe('a patch', () => {
  const one = `${configMaps}/patched`;
  before(() => post(configMaps, configMap('patched', { labels: { kept: 'yes' } })));

  test('that takes the name away is refused, and takes nothing', async () => {
    for (const operation of [
      { op: 'remove', path: '/metadata' },
      { op: 'replace', path: '', value: {} },
      { op: 'remove', path: '/metadata/name' },
    ]) {
      const { status, json } = await patch(one, 'json', [operation]);
      assert.equal(status, 400, JSON.stringify(operation));
      assert.equal(
        json.message,
        'the name of the object (patched based on URL) was undeterminable: name must be provided',
      );
    }
    assert.deepEqual((await ask(one)).json.metadata.labels, { kept: 'yes' });
  });

  test('replaces a member that is not there', async () => {
    const { status, json } = await patch(one, 'json', [{ op: 'replace', path: '/data/b', value: '2' }]);
    assert.equal(status, 200);
    assert.deepEqual(json.data, { a: '1', b: '2' });
  });

  test('that does not make an object of the kind is Invalid, for the field patch', async () => {
    const wrong: [type: 'json' | 'merge', body: unknown, why: RegExp][] = [
      ['merge', { data: { a: 1 } }, /cannot unmarshal number/],
      ['json', [{ op: 'add', path: '/data', value: 'x' }], /cannot unmarshal string/],
      ['merge', { bogus: 1 }, /: strict decoding error: unknown field "bogus"$/],
      ['merge', '{"data":{"a":"1","a":"2"}}', /: strict decoding error: duplicate field "data.a"$/],
      [
        'json',
        '[{"op":"add","path":"/data/a","value":"1","value":"2"}]',
        /: strict decoding error: json patch duplicate field "\[0\].value"$/,
      ],
    ];
    for (const [type, body, why] of wrong) {
      const { status, json } = await patch(`${one}?fieldValidation=Strict`, type, body);
      assert.equal(status, 422, JSON.stringify(body));
      assert.match(json.message, /^ "" is invalid: patch: Invalid value: /);
      assert.match(json.message, why);
      assert.deepEqual(
        json.details.causes.map(({ field }: { field: string }) => field),
        ['patch'],
      );
    }
  });
});

describe('metadata', () => {
  test('of a new object names finalizers with a domain, or one of the three', async () => {
    const bad = await post(configMaps, configMap('bad-end', { finalizers: ['mine'] }));
    assert.equal(bad.status, 422);
    const why = 'name is neither a standard finalizer name nor is it fully qualified';
    assert.equal(
      bad.json.message,
      `ConfigMap "bad-end" is invalid: metadata.finalizers[0]: Invalid value: "mine": ${why}`,
    );
    assert.equal((await post(configMaps, configMap('good-end', { finalizers: ['a.b/c', 'orphan'] }))).status, 201);
  });

  test('names an owner once, and the client is told', async () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'u1' };
    const { headers, json } = await post(configMaps, configMap('owned', { ownerReferences: [owner, owner] }));
    assert.deepEqual(json.metadata.ownerReferences, [owner]);
    assert.match(String(headers.warning), /duplicate UID\(s\) observed: u1/);
  });
});

describe('namespaces', () => {
  const namespaces = '/api/v1/namespaces';

  test('are not deleted all at once', async () => {
    await post(namespaces, { metadata: { name: 'bystander' } });
    assert.equal((await ask(namespaces, { method: 'DELETE' })).status, 405);
    const { json } = await ask(`${namespaces}/bystander`);
    assert.equal(json.status.phase, 'Active');
    const listed = (await ask('/api/v1')).json.resources.find(({ name }: { name: string }) => name === 'namespaces');
    assert.ok(!listed.verbs.includes('deletecollection'));
  });

  test('are shown to who has the right within them', async () => {
    const binding = {
      metadata: { name: 'looks' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'looks' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'ann' }],
    };
    await post(namespaces, { metadata: { name: 'hers' } });
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/hers';
    const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'list'] }];
    await post(`${rbac}/roles`, { metadata: { name: 'looks' }, rules });
    await post(`${rbac}/rolebindings`, binding);
    assert.equal((await ask(`${namespaces}/hers`, as('ann'))).status, 200);
    const other = await ask(`${namespaces}/default`, as('ann'));
    assert.equal(other.status, 403);
    assert.match(other.json.message, /in the namespace "default"$/);
    assert.equal((await ask(namespaces, as('ann'))).status, 403);
  });
});

describe('a deletion', () => {
  test('answers with the object where Kubernetes does, for clients that read the answer as one', async () => {
    await post(`${inDefault}/serviceaccounts`, { metadata: { name: 'leaves' } });
    const { json } = await ask(`${inDefault}/serviceaccounts/leaves`, { method: 'DELETE' });
    assert.deepEqual([json.kind, json.metadata.name], ['ServiceAccount', 'leaves']);
    assert.equal((await ask(`${inDefault}/serviceaccounts/leaves`)).status, 404);
  });

  test('leaves what depends on the object when the query says so', async () => {
    await post(configMaps, configMap('parent'));
    const { json } = await ask(`${configMaps}/parent?orphanDependents=true`, { method: 'DELETE' });
    assert.deepEqual(json.metadata.finalizers, ['orphan']);
  });

  test('with options that contradict each other, or are none, is refused and deletes nothing', async () => {
    await post(configMaps, configMap('stays'));
    for (const options of [{ propagationPolicy: 'Foreground', orphanDependents: true }, { dryRun: ['Some'] }]) {
      const body = JSON.stringify(options);
      // Node frames no body of a DELETE by itself.
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const { status, text } = await ask(`${configMaps}/stays`, { method: 'DELETE', headers, body });
      assert.equal(status, 422, text);
    }
    assert.equal((await ask(`${configMaps}/stays`)).json.metadata.deletionTimestamp, undefined);
  });
});

test('a Service keeps its address when an update leaves it blank', async () => {
  const services = `${inDefault}/services`;
  const made = await post(services, { metadata: { name: 'keeps' }, spec: { ports: [{ port: 80 }] } });
  const { clusterIP } = made.json.spec;
  for (const type of ['merge', 'strategic-merge'] as const) {
    const { status, json } = await patch(`${services}/keeps`, type, { spec: { clusterIP: '' } });
    assert.equal(status, 200);
    assert.deepEqual([json.spec.clusterIP, json.spec.clusterIPs], [clusterIP, [clusterIP]]);
  }
});

test('a Job is found by its name’s label', async () => {
  const jobs = '/apis/batch/v1/namespaces/default/jobs';
  const spec = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] };
  await post(jobs, { metadata: { name: 'found' }, spec: { template: { metadata: { labels: { a: 'b' } }, spec } } });
  const { json } = await ask(`${jobs}?labelSelector=job-name%3Dfound,a%3Db`);
  assert.equal(json.items.length, 1);
});

describe('a Job that is deleted', () => {
  const jobs = '/apis/batch/v1/namespaces/default/jobs';
  const spec = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] };
  const remove = (path: string) => ask(path, { method: 'DELETE' });
  const make = (name: string, metadata: object = {}) =>
    post(jobs, { metadata: { name, ...metadata }, spec: { template: { spec } } });
  const warning =
    '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"';

  test('leaves its Pods when nobody says what becomes of them, and says so', async () => {
    await make('legacy');
    const { json, headers } = await remove(`${jobs}/legacy`);
    assert.deepEqual(json.metadata.finalizers, ['orphan']);
    assert.equal(headers.warning, warning);
  });

  test('takes them along when it is told to, and warns of nothing', async () => {
    for (const query of ['propagationPolicy=Background', 'orphanDependents=false']) {
      await make('told');
      const { json, headers } = await remove(`${jobs}/told?${query}`);
      assert.equal(json.status, 'Success', query);
      assert.equal(headers.warning, undefined);
    }
    await make('waits', { finalizers: ['foregroundDeletion'] });
    assert.deepEqual((await remove(`${jobs}/waits`)).json.metadata.finalizers, ['foregroundDeletion']);
  });

  test('with all others of its namespace is told so once', async () => {
    const { headers } = await remove(`${jobs}?dryRun=All`);
    assert.equal(headers.warning, warning);
  });
});

test('a Scale without a name scales nothing to zero', async () => {
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 2, selector: { matchLabels: { a: 'b' } }, template };
  await post(deployments, { metadata: { name: 'two' }, spec });
  const headers = { 'content-type': 'application/json' };
  const empty = await ask(`${deployments}/two/scale`, { method: 'PUT', headers, body: '{}' });
  assert.equal(empty.status, 400);
  assert.equal((await ask(`${deployments}/two`)).json.spec.replicas, 2);
});

test('who leads by a Lease cannot take it blindly', async () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
  await post(leases, { metadata: { name: 'led' }, spec: { holderIdentity: 'a' } });
  const body = JSON.stringify({ metadata: { name: 'led' }, spec: { holderIdentity: 'b' } });
  const headers = { 'content-type': 'application/json' };
  const blind = await ask(`${leases}/led`, { method: 'PUT', headers, body });
  assert.equal(blind.status, 422);
  assert.match(blind.json.message, /metadata.resourceVersion: Invalid value: 0x0: must be specified for an update/);
});

test('reviews and tokens are for the namespace and name of their path', async () => {
  const review = {
    kind: 'LocalSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    spec: { user: 'bob', resourceAttributes: { namespace: 'kube-system', verb: 'get', resource: 'pods' } },
  };
  const local = await post('/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews', review);
  assert.equal(local.status, 422);
  assert.equal(local.json.details.causes[0].field, 'spec.resourceAttributes.namespace');
  const token = await post(`${inDefault}/serviceaccounts/default/token`, { metadata: { name: 'other' }, spec: {} });
  assert.equal(token.status, 422);
  assert.equal(token.json.details.causes[0].field, 'metadata.name');
});

test('who acts as nobody is nobody', async () => {
  const { status } = await post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, as('system:anonymous'));
  assert.equal(status, 403);
});

test('what could not work is refused when it is made', async () => {
  const container = { name: 'c', image: 'i' };
  const twice = [1, 2].map((containerPort) => ({ containerPort, hostPort: 80 }));
  const pod = (spec: object) => ({ metadata: { name: 'refused' }, spec: { containers: [container], ...spec } });
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
  const backend = { service: { name: 's', port: { number: 80 } } };
  const refused: [path: string, object: object, field: string][] = [
    [
      `${inDefault}/pods`,
      pod({ containers: [{ ...container, ports: twice }] }),
      'spec.containers[0].ports[1].hostPort',
    ],
    [`${inDefault}/pods`, pod({ securityContext: { runAsUser: 2 ** 31 } }), 'spec.securityContext.runAsUser'],
    [
      '/apis/node.k8s.io/v1/runtimeclasses',
      { metadata: { name: 'negative' }, handler: 'h', overhead: { podFixed: { cpu: '-1' } } },
      'overhead.limits[cpu]',
    ],
    [
      '/apis/apps/v1/namespaces/default/statefulsets',
      { metadata: { name: 's' }, spec: { serviceName: 'A_', selector: { matchLabels: { a: 'b' } }, template } },
      'spec.serviceName',
    ],
    [
      '/apis/networking.k8s.io/v1/namespaces/default/ingresses',
      {
        metadata: { name: 'i', annotations: { 'kubernetes.io/ingress.class': 'x' } },
        spec: { ingressClassName: 'y', defaultBackend: backend },
      },
      'annotations.kubernetes.io/ingress.class',
    ],
  ];
  for (const [path, object, field] of refused) {
    const { status, json } = await post(path, object);
    assert.equal(status, 422, path);
    assert.equal(json.details.causes[0].field, field);
  }
});
