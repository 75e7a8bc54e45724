/** The API over TLS as clients meet it: negotiation, bounds, refusals, watches; with @kubernetes/client-node as one of the clients. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from './api-test-server.ts';

const { pods, configmaps } = resources;

let api: TestApi;
let served: Awaited<ReturnType<TestApi['listen']>>;
let admin: Agent;
let nobody: Agent;
before(async () => {
  // A store with a past, so that there are versions from before the server's time.
  const store = createMemoryStore();
  for (let i = 0; i < 5; i++) await store.commit([{ key: '/other', value: Buffer.from(String(i)) }]);
  api = await startTestApi({ store });
  served = await api.listen();
  const { certificate, key } = await api.pki.adminClient();
  admin = new Agent({ ca: api.pki.caCertificate, cert: certificate, key, keepAlive: true });
  nobody = new Agent({ ca: api.pki.caCertificate });
});
after(async () => {
  admin.destroy();
  nobody.destroy();
  await api[Symbol.asyncDispose]();
});

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  json: any;
}

interface Ask extends RequestOptions {
  body?: string | Buffer;
}

async function ask(path: string, { body, ...options }: Ask = {}): Promise<Answer> {
  const sent = request(new URL(path, served.url), { agent: admin, ...options });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  let bytes = Buffer.concat(chunks);
  if (response.headers['content-encoding'] === 'gzip') bytes = gunzipSync(bytes);
  const text = bytes.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.statusCode ?? 0, headers: response.headers, text, json };
}

const post = (path: string, object: object, more: Ask = {}) =>
  ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(object), ...more });

const inDefault = '/api/v1/namespaces/default';

describe('who may come in', () => {
  test('health and version are open, everything else wants credentials', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/readyz/store', '/version']) {
      assert.equal((await ask(path, { agent: nobody })).status, 200, path);
    }
    for (const path of ['/', '/api', '/api/v1/pods', '/openapi/v3']) {
      const { status, json } = await ask(path, { agent: nobody });
      assert.deepEqual([status, json.reason, json.kind], [401, 'Unauthorized', 'Status'], path);
    }
    assert.match((await ask('/readyz?verbose')).text, /\[\+\]watch-cache ok\nreadyz check passed/);
  });

  test('the admin token and a service account token are known, another is not', async () => {
    const bearer = (token: string) => ({ agent: nobody, headers: { authorization: `Bearer ${token}` } });
    assert.equal((await ask('/api/v1/pods', bearer(api.pki.adminToken))).status, 200);
    assert.equal((await ask('/api/v1/pods', bearer('x'.repeat(64)))).status, 401);
    const made = await post(`${inDefault}/serviceaccounts/default/token`, { spec: {} });
    assert.equal(made.status, 201);
    const { token } = made.json.status;
    assert.equal((await ask('/api/v1', bearer(token))).status, 200);
    const refused = await ask('/api/v1/pods', bearer(token));
    assert.deepEqual([refused.status, refused.json.reason], [403, 'Forbidden']);
    assert.match(refused.json.message, /cannot list resource "pods" in API group "" at the cluster scope$/);
  });

  test("a client certificate of another authority is nobody's", async () => {
    const { certificate, key } = await api.pki.serving();
    const agent = new Agent({ ca: api.pki.caCertificate, cert: certificate, key });
    assert.equal((await ask('/api/v1/pods', { agent })).status, 401);
    agent.destroy();
  });

  test('a client certificate of ours names its user and groups', async () => {
    const { certificate, key } = await api.pki.issueClient({ commonName: 'jane', organizations: ['ops', 'dev'] });
    const agent = new Agent({ ca: api.pki.caCertificate, cert: certificate, key });
    const who = await post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { agent });
    assert.deepEqual(who.json.status.userInfo, { username: 'jane', groups: ['ops', 'dev', 'system:authenticated'] });
    assert.equal((await ask('/api/v1/pods', { agent })).status, 403);
    agent.destroy();
  });

  test('who may impersonate acts as the other, and nobody else does', async () => {
    const as = await ask('/api/v1/pods', { headers: { 'impersonate-user': 'jane' } });
    assert.deepEqual([as.status, /User "jane" cannot list/.test(as.json.message)], [403, true]);
    const { certificate, key } = await api.pki.issueClient({ commonName: 'jane' });
    const agent = new Agent({ ca: api.pki.caCertificate, cert: certificate, key });
    const refused = await ask('/api/v1', { agent, headers: { 'impersonate-user': 'admin' } });
    assert.equal(refused.status, 403);
    agent.destroy();
  });

  test("a resumed TLS session is still the same user's", async () => {
    const { certificate, key } = await api.pki.adminClient();
    // One connection a request; the agent keeps sessions.
    const agent = new Agent({
      ca: api.pki.caCertificate,
      cert: certificate,
      key,
      keepAlive: false,
      maxVersion: 'TLSv1.2',
    });
    for (let i = 0; i < 3; i++) assert.equal((await ask('/api/v1/pods', { agent })).status, 200);
    agent.destroy();
  });

  test('plain HTTP gets no answer', async () => {
    const sent = plainRequest(served.url.replace('https', 'http'));
    sent.end();
    await assert.rejects(once(sent, 'response'));
  });
});

describe('what is asked for', () => {
  test('unknown paths, kinds and methods are refused as Kubernetes refuses them', async () => {
    const cases: [string, string, number, string][] = [
      ['GET', '/nowhere', 404, 'the server could not find the requested resource'],
      ['GET', '/api/v1/gadgets', 404, 'the server could not find the requested resource'],
      ['GET', '/api/v2/pods', 404, 'the server could not find the requested resource'],
      ['GET', `${inDefault}/pods/none`, 404, 'pods "none" not found'],
      ['POST', `${inDefault}/pods/x`, 405, 'the server does not allow this method on the requested resource'],
      ['GET', `${inDefault}/pods/x/eviction`, 405, 'the server does not allow this method on the requested resource'],
      ['GET', `${inDefault}/pods/x/gadget`, 404, 'the server could not find the requested resource'],
      [
        'GET',
        '/apis/coordination.k8s.io/v1/namespaces/default/leases/l',
        404,
        'leases.coordination.k8s.io "l" not found',
      ],
    ];
    for (const [method, path, code, message] of cases) {
      const { status, json } = await ask(path, { method });
      assert.deepEqual([status, json?.message, json?.code], [code, message, code], `${method} ${path}`);
    }
  });

  test('a Table is given with its columns and the metadata of each object', async () => {
    await api.client.create(pods, testPod('shown'));
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { json } = await ask(`${inDefault}/pods?fieldSelector=metadata.name%3Dshown`, { headers: { accept } });
    assert.equal(json.kind, 'Table');
    assert.deepEqual(
      json.columnDefinitions.slice(0, 3).map(({ name }: { name: string }) => name),
      ['Name', 'Ready', 'Status'],
    );
    assert.deepEqual(json.rows[0].cells.slice(0, 3), ['shown', '0/1', 'Pending']);
    assert.equal(json.rows[0].object.kind, 'PartialObjectMetadata');
    assert.equal(json.rows[0].object.spec, undefined);
    const bare = await ask(`${inDefault}/pods/shown?includeObject=None`, { headers: { accept } });
    assert.equal(bare.json.rows[0].object, undefined);
  });

  test('a list is given as of a version, or as fresh as one', async () => {
    const made = await api.client.create<KubeObject>(configmaps, {
      metadata: { name: 'versions', namespace: 'default' },
    });
    const then = made.metadata?.resourceVersion;
    await api.client.delete(configmaps, 'versions', { namespace: 'default' });
    const path = `${inDefault}/configmaps?fieldSelector=metadata.name%3Dversions&resourceVersion=${then}`;
    const exact = await ask(`${path}&resourceVersionMatch=Exact`);
    assert.deepEqual([exact.json.items.length, exact.json.metadata.resourceVersion], [1, then]);
    assert.equal((await ask(`${path}&resourceVersionMatch=NotOlderThan`)).json.items.length, 0);
    const future = await ask(`${inDefault}/configmaps?resourceVersion=99999999&resourceVersionMatch=NotOlderThan`);
    assert.deepEqual([future.status, future.json.details.causes[0].reason], [504, 'ResourceVersionTooLarge']);
    assert.equal((await ask(`${inDefault}/configmaps?resourceVersionMatch=Exact`)).status, 422);
    assert.equal((await ask(`${inDefault}/configmaps?resourceVersion=x`)).status, 400);
    assert.equal((await ask(`${inDefault}/configmaps?limit=2&continue=nonsense`)).status, 400);
  });

  test('metadata alone is given to who wants no more', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
    const { json } = await ask(`${inDefault}/pods`, { headers: { accept } });
    assert.equal(json.kind, 'PartialObjectMetadataList');
    assert.equal(json.items[0].spec, undefined);
  });

  test('YAML goes in and comes out', async () => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: "1"}\n';
    const headers = { 'content-type': 'application/yaml', accept: 'application/yaml' };
    const { status, text } = await ask(`${inDefault}/configmaps`, { method: 'POST', headers, body });
    assert.equal(status, 201);
    assert.match(text, /^kind: ConfigMap$/m);
  });

  test('large answers are compressed for who can take it', async () => {
    await api.client.create(configmaps, {
      metadata: { name: 'large', namespace: 'default' },
      data: { a: 'x'.repeat(200_000) },
    } as KubeObject);
    const { headers, json } = await ask(`${inDefault}/configmaps/large`, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(json.data.a.length, 200_000);
    assert.equal((await ask(`${inDefault}/configmaps/large`)).headers['content-encoding'], undefined);
  });

  test('discovery is told in both forms, and every kind is in it', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { json, headers } = await ask('/api', { headers: { accept } });
    assert.match(headers['content-type'] ?? '', /v=v2;as=APIGroupDiscoveryList/);
    const found = json.items[0].versions[0].resources.find(({ resource }: { resource: string }) => resource === 'pods');
    const subresources = found.subresources.map(({ subresource }: { subresource: string }) => subresource);
    for (const name of [
      'status',
      'log',
      'exec',
      'attach',
      'portforward',
      'ephemeralcontainers',
      'binding',
      'eviction',
    ]) {
      assert.ok(subresources.includes(name), name);
    }
    const classic = await ask('/apis/coordination.k8s.io/v1');
    assert.deepEqual(
      classic.json.resources.map(({ name }: { name: string }) => name),
      ['leases'],
    );
    assert.equal((await ask('/apis')).json.kind, 'APIGroupList');
    assert.equal((await ask('/api')).json.kind, 'APIVersions');
  });

  test('OpenAPI documents are named by their content', async () => {
    const { json } = await ask('/openapi/v3');
    const { serverRelativeURL } = json.paths['api/v1'];
    const document = await ask(serverRelativeURL);
    assert.ok(document.json.components.schemas['io.k8s.api.core.v1.Pod']);
    const { etag } = document.headers;
    assert.equal((await ask(serverRelativeURL, { headers: { 'if-none-match': etag } })).status, 304);
  });

  test('log, exec and attach say what is missing', async () => {
    const noNode = await ask(`${inDefault}/pods/shown/log`);
    assert.deepEqual([noNode.status, noNode.json.message], [400, 'pod shown does not have a host assigned']);
    const two = testPod('two');
    two.spec.containers.push({ name: 'side', image: 'x' });
    two.metadata!.annotations = {};
    await api.client.create(pods, two);
    const which = await ask(`${inDefault}/pods/two/log`);
    assert.equal(which.json.message, 'a container name must be specified for pod two, choose one of: [main side]');
    const wrong = await ask(`${inDefault}/pods/two/log?container=nope`);
    assert.equal(wrong.json.message, 'container nope is not valid for pod two');
    assert.equal((await ask(`${inDefault}/pods/shown/exec?command=ls`)).json.message, 'Upgrade request required');
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
    const upgrade = await ask(`${inDefault}/pods/shown/exec?command=ls`, { method: 'POST', headers });
    assert.deepEqual([upgrade.status, upgrade.json.message], [400, 'pod shown does not have a host assigned']);
    // A browser's way to bring a token to a WebSocket.
    const carrier = `base64url.bearer.authorization.k8s.io.${Buffer.from(api.pki.adminToken).toString('base64url')}`;
    const webSocket = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      'sec-websocket-protocol': `v5.channel.k8s.io, ${carrier}`,
    };
    const browser = await ask(`${inDefault}/pods/shown/exec?command=ls`, { agent: nobody, headers: webSocket });
    assert.deepEqual([browser.status, browser.json.message], [400, 'pod shown does not have a host assigned']);
    const elsewhere = await ask(`${inDefault}/pods`, { headers });
    assert.equal(elsewhere.status, 400);
  });
});

describe('writes', () => {
  test('unknown fields are refused, told or dropped as the client wishes', async () => {
    const pod = (name: string) => ({ ...testPod(name), specc: 1 });
    const strict = await post(`${inDefault}/pods?fieldValidation=Strict`, pod('fv'));
    assert.deepEqual([strict.status, strict.json.reason], [400, 'BadRequest']);
    assert.match(strict.json.message, /strict decoding error: unknown field "specc"$/);
    const warned = await post(`${inDefault}/pods?fieldValidation=Warn`, pod('fv1'));
    assert.deepEqual([warned.status, warned.headers.warning], [201, '299 - "unknown field \\"specc\\""']);
    assert.equal(warned.json.specc, undefined);
    const ignored = await post(`${inDefault}/pods?fieldValidation=Ignore`, pod('fv2'));
    assert.deepEqual([ignored.status, ignored.headers.warning], [201, undefined]);
    assert.equal((await post(`${inDefault}/pods?fieldValidation=Maybe`, pod('fv3'))).status, 422);
  });

  test('a dry run answers as if and stores nothing', async () => {
    const { status, json } = await post(`${inDefault}/pods?dryRun=All`, testPod('dry'));
    assert.equal(status, 201);
    assert.ok(json.metadata.uid);
    assert.equal((await ask(`${inDefault}/pods/dry`)).status, 404);
    assert.equal((await ask(`${inDefault}/pods/shown?dryRun=All`, { method: 'DELETE' })).status, 200);
    assert.equal((await ask(`${inDefault}/pods/shown`)).status, 200);
  });

  test('what is wrong with an object is told field by field', async () => {
    const { status, json } = await post(`${inDefault}/pods`, {
      metadata: { name: 'Bad' },
      spec: { containers: [{ name: 'c' }] },
    });
    assert.deepEqual([status, json.reason, json.details.kind], [422, 'Invalid', 'Pod']);
    const fields = json.details.causes.map(({ field }: { field: string }) => field);
    assert.deepEqual(fields, ['metadata.name', 'spec.containers[0].image']);
  });

  test('bodies that are too large, too deep, of another type, or no JSON are refused', async () => {
    const json = { 'content-type': 'application/json' };
    const cases: [string, number, Ask][] = [
      ['too large', 413, { headers: json, body: `{"data":"${'x'.repeat(3_200_000)}"}` }],
      ['too deep', 400, { headers: json, body: `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}` }],
      ['broken', 400, { headers: json, body: '{"a":' }],
      ['no UTF-8', 400, { headers: json, body: Buffer.from([0x7b, 0xff, 0x7d]) }],
      ['an array', 400, { headers: json, body: '[]' }],
      ['null', 400, { headers: json, body: 'null' }],
      ['another type', 415, { headers: { 'content-type': 'application/xml' }, body: '<a/>' }],
      [
        'broken protobuf',
        400,
        { headers: { 'content-type': 'application/vnd.kubernetes.protobuf' }, body: 'k8s\0\x12\x7f' },
      ],
      ['YAML of many aliases', 400, { headers: { 'content-type': 'application/yaml' }, body: laughs() }],
    ];
    for (const [what, code, options] of cases) {
      const answer = await ask(`${inDefault}/configmaps`, { method: 'POST', ...options });
      assert.deepEqual([answer.status, answer.json?.kind], [code, 'Status'], what);
    }
    assert.equal((await ask('/livez')).status, 200);
  });

  test('a body larger than it said it would be is cut off while it comes', async () => {
    const sent = request(new URL(`${inDefault}/configmaps`, served.url), {
      agent: admin,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
    });
    sent.on('error', () => {});
    const answered = once(sent, 'response');
    for (let i = 0; i < 60 && !sent.destroyed; i++) sent.write('x'.repeat(64 * 1024));
    const [response] = (await answered) as [IncomingMessage];
    assert.equal(response.statusCode, 413);
    response.resume();
    sent.destroy();
  });

  test('a collection is deleted by selector', async () => {
    for (const name of ['d1', 'd2']) {
      await api.client.create(configmaps, { metadata: { name, namespace: 'default', labels: { drop: 'yes' } } });
    }
    const { status, json } = await ask(`${inDefault}/configmaps?labelSelector=drop%3Dyes`, { method: 'DELETE' });
    assert.deepEqual([status, json.items.length], [200, 2]);
    assert.equal((await ask(`${inDefault}/configmaps?labelSelector=drop`)).json.items.length, 0);
    assert.equal((await ask(`${inDefault}/configmaps/large`)).status, 200);
  });

  test('an eviction deletes, and a deletion says what it deleted', async () => {
    await api.client.create(pods, testPod('evicted'));
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } };
    const { status, json } = await post(`${inDefault}/pods/evicted/eviction`, eviction);
    assert.deepEqual([status, json.status], [201, 'Success']);
    assert.equal((await ask(`${inDefault}/pods/evicted`)).status, 404);
    await api.client.create(configmaps, { metadata: { name: 'told', namespace: 'default' } });
    const gone = await ask(`${inDefault}/configmaps/told`, { method: 'DELETE' });
    assert.deepEqual(
      [gone.json.status, gone.json.details.name, gone.json.details.kind],
      ['Success', 'told', 'configmaps'],
    );
  });

  test('binding twice is a conflict', async () => {
    await api.client.create(pods, testPod('bind'));
    const binding = { metadata: { name: 'bind' }, target: { kind: 'Node', name: 'n1' } };
    assert.equal((await post(`${inDefault}/pods/bind/binding`, binding)).status, 201);
    const again = await post(`${inDefault}/bindings`, binding);
    assert.deepEqual(
      [again.status, again.json.message],
      [409, 'Operation cannot be fulfilled on pods/binding "bind": pod bind is already assigned to node "n1"'],
    );
    const { json } = await ask(`${inDefault}/pods/bind`);
    assert.equal(json.spec.nodeName, 'n1');
    assert.deepEqual(
      [json.status.conditions.at(-1).type, json.status.conditions.at(-1).status],
      ['PodScheduled', 'True'],
    );
  });
});

describe('watches', () => {
  /** Lines of a watch as parsed events. */
  async function* events(path: string, headers = {}, signal?: AbortSignal) {
    const sent = request(new URL(path, served.url), { agent: admin, headers, signal });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let rest = '';
    try {
      for await (const chunk of response) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line);
      }
    } finally {
      response.destroy();
    }
  }

  test('without a version begin with what is there', async () => {
    for await (const event of events(`${inDefault}/pods?watch=1&fieldSelector=metadata.name%3Dshown`)) {
      assert.deepEqual([event.type, event.object.metadata.name], ['ADDED', 'shown']);
      break;
    }
  });

  test('with sendInitialEvents mark where the beginning ends', async () => {
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const seen: string[] = [];
    for await (const { type, object } of events(`${inDefault}/serviceaccounts?${query}`)) {
      seen.push(type);
      if (type !== 'BOOKMARK') continue;
      assert.equal(object.metadata.annotations['k8s.io/initial-events-end'], 'true');
      break;
    }
    assert.deepEqual(seen, ['ADDED', 'BOOKMARK']);
    const bad = await ask(`${inDefault}/pods?watch=1&sendInitialEvents=true`);
    assert.equal(bad.status, 422);
  });

  test('begin with a state of any size', async () => {
    const large = 'x'.repeat(900_000);
    for (let i = 0; i < 24; i++) {
      const metadata = { name: `bulk-${i}`, namespace: 'default', labels: { bulk: 'yes' } };
      await api.client.create(configmaps, { metadata, data: { large } } as KubeObject);
    }
    let count = 0;
    for await (const { type } of events(`${inDefault}/configmaps?watch=1&labelSelector=bulk%3Dyes`)) {
      assert.equal(type, 'ADDED');
      if (++count === 24) break;
    }
    assert.equal((await ask(`${inDefault}/configmaps?labelSelector=bulk`, { method: 'DELETE' })).status, 200);
  });

  test('end after timeoutSeconds', async () => {
    const started = performance.now();
    for await (const _ of events(`${inDefault}/pods?watch=1&resourceVersion=${await version()}&timeoutSeconds=1`))
      assert.fail();
    assert.ok(performance.now() - started >= 990);
  });

  test('from a forgotten version are told 410 in the stream', async () => {
    for await (const { type, object } of events(`${inDefault}/pods?watch=1&resourceVersion=1`)) {
      assert.deepEqual([type, object.code, object.reason], ['ERROR', 410, 'Expired']);
    }
  });

  test('as Table name the columns once', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const seen: boolean[] = [];
    const reading = (async () => {
      for await (const { object } of events(`${inDefault}/configmaps?watch=1&resourceVersion=${await version()}`, {
        accept,
      })) {
        seen.push('columnDefinitions' in object);
        if (seen.length === 2) break;
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await api.client.create(configmaps, { metadata: { name: 't1', namespace: 'default' } });
    await api.client.create(configmaps, { metadata: { name: 't2', namespace: 'default' } });
    await reading;
    assert.deepEqual(seen, [true, false]);
  });

  test('three hundred idle ones cost little and all hear of a change', async () => {
    const { client } = served;
    const stop = new AbortController();
    const before = process.memoryUsage().heapUsed;
    const resourceVersion = await version();
    let heard = 0;
    const watchers = Array.from({ length: 300 }, async () => {
      for await (const event of client.watch<TestPod>(
        configmaps,
        { resourceVersion, namespace: 'default' },
        stop.signal,
      )) {
        if (event.type === 'ADDED' && event.object.metadata?.name === 'heard') heard++;
        if (heard === 300) stop.abort();
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const each = (process.memoryUsage().heapUsed - before) / 300;
    await api.client.create(configmaps, { metadata: { name: 'heard', namespace: 'default' } });
    await Promise.all(watchers);
    assert.equal(heard, 300);
    // Both ends of the connection are in this process.
    assert.ok(each < 256 * 1024, `${Math.round(each / 1024)} KiB a watch`);
  });

  async function version(): Promise<string> {
    return (await api.client.list(pods)).resourceVersion;
  }
});

describe('clients', () => {
  test('the HTTPS client has the semantics of the one in process', async () => {
    const checks = async (client: KubeClient, name: string) => {
      const made = await client.create<TestPod>(pods, testPod(name));
      await assert.rejects(client.create(pods, testPod(name)), (error) => isReason(error, 'AlreadyExists'));
      const patched = await client.patch<TestPod>(
        pods,
        name,
        { metadata: { labels: { a: 'b' } } },
        {
          namespace: 'default',
          type: 'application/merge-patch+json',
        },
      );
      await assert.rejects(client.update(pods, { ...made, spec: made.spec }), (error) => isReason(error, 'Conflict'));
      const running = { ...patched, status: { ...patched.status, phase: 'Running' } };
      const updated = await client.update<TestPod>(pods, running, { subresource: 'status' });
      assert.equal(updated.status?.phase, 'Running');
      const listed = await client.list<TestPod>(pods, { namespace: 'default', labelSelector: 'a=b' });
      assert.deepEqual(
        listed.items.map((pod) => [pod.kind, pod.metadata?.name]),
        [['Pod', name]],
      );
      await client.delete(pods, name, { namespace: 'default', gracePeriodSeconds: 0 });
      await assert.rejects(client.get(pods, name, 'default'), (error) => isReason(error, 'NotFound'));
      await assert.rejects(
        async () => {
          for await (const _ of client.watch(pods, { resourceVersion: '1' }, new AbortController().signal));
        },
        (error) => isReason(error, 'Expired'),
      );
    };
    await checks(api.client, 'in-process');
    await checks(served.client, 'https');
  });

  test('@kubernetes/client-node lists, writes and watches', async () => {
    const config = new KubeConfig();
    config.loadFromFile(served.kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const seen: string[] = [];
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const watching = await new Watch(config).watch(
      `${inDefault}/pods`,
      { labelSelector: 'from=client-node' },
      (phase, object) => {
        seen.push(`${phase} ${object.metadata.name}`);
        if (phase === 'DELETED') resolve();
      },
      () => {},
    );
    const body = {
      metadata: { name: 'cn', labels: { from: 'client-node' } },
      spec: { containers: [{ name: 'a', image: 'b' }] },
    };
    const made = await core.createNamespacedPod({ namespace: 'default', body });
    assert.equal(made.status?.phase, 'Pending');
    assert.equal((await core.listNamespacedPod({ namespace: 'default', labelSelector: 'from' })).items.length, 1);
    await core.deleteNamespacedPod({ namespace: 'default', name: 'cn' });
    await done;
    watching.abort();
    assert.deepEqual(seen, ['ADDED cn', 'DELETED cn']);
  });

  test('one that says it will send and does not holds up nobody else', async () => {
    const { certificate, key } = await api.pki.adminClient();
    const { port } = served;
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: api.pki.caCertificate,
      cert: certificate,
      key,
      servername: 'localhost',
    });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.write(
      `POST ${inDefault}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
    );
    assert.equal((await ask(`${inDefault}/configmaps/large`)).status, 200);
    socket.destroy();
  });
});

function laughs(): string {
  const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
  return `a0: &a0 [x]\n${levels.join('\n')}\n`;
}
