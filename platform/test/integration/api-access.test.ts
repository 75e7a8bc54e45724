/** Who may come in to the API over TLS, and what is told to whom who asks. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { Agent } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { inDefault, type ServedApi, serveTestApi } from './api-ask.ts';
import { type TestApi, testPod } from './api-test-server.ts';

const { pods, configmaps } = resources;

let running: ServedApi;
let api: TestApi;
let served: ServedApi['served'];
let nobody: ServedApi['nobody'];
let ask: ServedApi['ask'];
let post: ServedApi['post'];
before(async () => {
  running = await serveTestApi();
  ({ api, served, nobody, ask, post } = running);
});
after(() => running[Symbol.asyncDispose]());

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

  test('whoever knows the published keys can tell a service account token from a forgery, without asking the server', async () => {
    const { token } = (await post(`${inDefault}/serviceaccounts/default/token`, { spec: { audiences: ['vault'] } }))
      .json.status;
    const bearer = { agent: nobody, headers: { authorization: `Bearer ${api.pki.adminToken}` } };
    const { issuer, jwks_uri: keysAt } = (await ask('/.well-known/openid-configuration', bearer)).json;
    const keys = await ask(new URL(keysAt).pathname, bearer);
    assert.equal(keys.headers['content-type'], 'application/jwk-set+json');
    const verify = (text: string) => jwtVerify(text, createLocalJWKSet(keys.json), { issuer, audience: 'vault' });
    const { payload } = await verify(token);
    assert.equal(payload.sub, 'system:serviceaccount:default:default');
    const [head, , signature] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ ...payload, sub: 'system:serviceaccount:kube-system:default' }));
    await assert.rejects(verify(`${head}.${forged.toString('base64url')}.${signature}`), /signature/);
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
