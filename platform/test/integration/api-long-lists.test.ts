/** Lists of many objects: sent piece by piece, whole whatever happens meanwhile, and no burden to the server's memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { type ServedApi, serveTestApi } from './api-ask.ts';

const namespace = 'default';
const maps = `/api/v1/namespaces/${namespace}/configmaps`;
const count = 1500;
const nameOf = (i: number) => `long-${String(i).padStart(4, '0')}`;

let running: ServedApi;
before(async () => {
  running = await serveTestApi();
  const { client } = running.api;
  const make = (i: number) =>
    client.create(resources.configmaps, {
      metadata: { name: nameOf(i), namespace, labels: { long: 'yes', part: String(i % 3) } },
      data: { text: `${i} äöü 🦑 ${'x'.repeat(2000)}` },
    } as KubeObject);
  for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => make(i + j)));
});
after(() => running[Symbol.asyncDispose]());

type Item = { metadata: { name: string; managedFields: object[] }; data: { text: string } };

test('come whole and the same, plain and compressed, all or selected, as each object alone', async () => {
  const plain = await running.ask(`${maps}?labelSelector=long`);
  assert.equal(Number(plain.headers['content-length']), Buffer.byteLength(plain.text));
  assert.deepEqual([plain.json.kind, plain.json.apiVersion], ['ConfigMapList', 'v1']);
  const items = plain.json.items as Item[];
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    Array.from({ length: count }, (_, i) => nameOf(i)),
  );
  const compressed = await running.ask(`${maps}?labelSelector=long`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(compressed.headers['content-encoding'], 'gzip');
  assert.deepEqual(compressed.json.items, items);
  const { items: everything } = (await running.ask(maps)).json as { items: Item[] };
  assert.deepEqual(
    everything.filter(({ metadata }) => metadata.name.startsWith('long-')),
    items,
  );
  for (const i of [0, 777, count - 1]) {
    const alone = (await running.ask(`${maps}/${nameOf(i)}`)).json;
    assert.deepEqual({ ...items[i], kind: alone.kind, apiVersion: alone.apiVersion }, alone);
    assert.ok(alone.metadata.managedFields.length > 0);
  }
});

test('show one moment while objects are written and deleted, however slowly they are read', async () => {
  const sent = request(new URL(`${maps}?labelSelector=long`, running.served.url), { agent: running.admin });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const { client } = running.api;
  for (let i = 0; i < count; i += 2) {
    const data = { text: `changed ${'y'.repeat(2000)}` };
    await client.patch(resources.configmaps, nameOf(i), { data }, { namespace, type: 'application/merge-patch+json' });
  }
  await client.delete(resources.configmaps, nameOf(1499), { namespace });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const { items } = JSON.parse(Buffer.concat(chunks).toString()) as { items: Item[] };
  assert.equal(items.length, count);
  for (const [i, { data }] of items.entries())
    assert.ok(data.text.startsWith(`${i} äöü 🦑`), `${i}: ${data.text.slice(0, 20)}`);
  const { items: now } = (await running.ask(`${maps}?labelSelector=long`)).json as { items: Item[] };
  assert.equal(now.length, count - 1);
  assert.ok(now[0]!.data.text.startsWith('changed'));
});
