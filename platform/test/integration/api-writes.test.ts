/** Writes over HTTPS: what is refused, told, dropped and done. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { type Ask, inDefault, type ServedApi, serveTestApi } from './api-ask.ts';
import { type TestApi, testPod } from './api-test-server.ts';

const { pods, configmaps } = resources;

let running: ServedApi;
let api: TestApi;
let served: ServedApi['served'];
let admin: ServedApi['admin'];
let ask: ServedApi['ask'];
let post: ServedApi['post'];
before(async () => {
  running = await serveTestApi();
  ({ api, served, admin, ask, post } = running);
});
after(() => running[Symbol.asyncDispose]());

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

function laughs(): string {
  const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
  return `a0: &a0 [x]\n${levels.join('\n')}\n`;
}
