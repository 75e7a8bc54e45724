/** The rules of Kubernetes' "API concepts" page that clients build on: chunked lists, versions, watches' beginnings, forms of answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { type ServedApi, serveTestApi } from './api-ask.ts';

const maps = '/api/v1/namespaces/default/configmaps';

let running: ServedApi;
let ask: ServedApi['ask'];
before(async () => {
  running = await serveTestApi();
  ({ ask } = running);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await make(name);
});
after(() => running[Symbol.asyncDispose]());

const make = (name: string) =>
  running.api.client.create(resources.configmaps, {
    metadata: { name, namespace: 'default', labels: { set: 'letters' } },
  });

const namesOf = (json: { items: { metadata: { name: string } }[] }) => json.items.map(({ metadata }) => metadata.name);
const letters = `${maps}?labelSelector=set%3Dletters`;

interface Event {
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: events of every form
  object: any;
}

/** The first `count` events of a watch. */
async function firstEvents(
  path: string,
  count: number,
  { headers = {}, onBookmark = () => {} }: { headers?: object; onBookmark?: () => void } = {},
): Promise<Event[]> {
  const sent = request(new URL(path, running.served.url), { agent: running.admin, headers: { ...headers } });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const events: Event[] = [];
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    const more = lines.map((line) => JSON.parse(line) as Event);
    events.push(...more);
    if (more.some(({ type }) => type === 'BOOKMARK')) onBookmark();
    if (events.length >= count) break;
  }
  response.destroy();
  return events.slice(0, count);
}

describe('a list in chunks', () => {
  test('tells how many are left, and shows the moment it began on every page', async () => {
    const first = (await ask(`${maps}?limit=2`)).json;
    assert.deepEqual(namesOf(first), ['a', 'b']);
    assert.equal(first.metadata.remainingItemCount, 4);
    await make('bb');
    const second = (await ask(`${maps}?limit=2&continue=${first.metadata.continue}`)).json;
    assert.deepEqual(namesOf(second), ['c', 'd']);
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
    const last = (await ask(`${maps}?continue=${second.metadata.continue}`)).json;
    assert.deepEqual(namesOf(last), ['e', 'large']);
    assert.equal(last.metadata.continue, undefined);
    await running.api.client.delete(resources.configmaps, 'bb', { namespace: 'default' });
  });

  test('with a selector tells not how many are left', async () => {
    const { metadata } = (await ask(`${letters}&limit=2`)).json;
    assert.ok(metadata.continue);
    assert.equal(metadata.remainingItemCount, undefined);
  });

  test('whose moment is forgotten is told 410, with a way to go on as of now', async () => {
    const first = (await ask(`${letters}&limit=2`)).json;
    await make('cc');
    const { store } = running.api;
    await store.compact(await store.revision());
    const expired = await ask(`${letters}&limit=2&continue=${first.metadata.continue}`);
    assert.equal(expired.status, 410);
    assert.equal(expired.json.reason, 'Expired');
    assert.match(expired.json.message, /inconsistent list/);
    const token = expired.json.metadata.continue;
    const next = await ask(`${letters}&limit=2&continue=${token}`);
    assert.deepEqual(namesOf(next.json), ['c', 'cc']);
    assert.notEqual(next.json.metadata.resourceVersion, first.metadata.resourceVersion);
    await make('ccc');
    const rest = (await ask(`${letters}&continue=${next.json.metadata.continue}`)).json;
    assert.deepEqual([namesOf(rest), rest.metadata.resourceVersion], [['d', 'e'], next.json.metadata.resourceVersion]);
    const exact = await ask(`${letters}&resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`);
    assert.deepEqual([exact.status, exact.json.metadata.continue], [410, undefined]);
    for (const name of ['cc', 'ccc'])
      await running.api.client.delete(resources.configmaps, name, { namespace: 'default' });
  });

  test('with a token of somebody else is refused', async () => {
    const { continue: token } = (await ask(`${maps}?limit=1`)).json.metadata;
    const secrets = await ask(`/api/v1/namespaces/default/secrets?limit=1&continue=${token}`);
    assert.equal(secrets.status, 400);
    for (const bad of [
      'x',
      Buffer.from('{"v":"meta.k8s.io/v1","rv":1,"start":"/registry/core/secrets/"}').toString('base64url'),
    ]) {
      assert.equal((await ask(`${maps}?limit=1&continue=${bad}`)).status, 400, bad);
    }
    assert.equal((await ask(`${maps}?limit=1&continue=${token}&resourceVersion=5`)).status, 400);
    assert.equal((await ask(`${maps}?limit=-1`)).status, 400);
  });
});

describe('resourceVersion', () => {
  test('of a read is the least fresh it may be; one that never was is told as such', async () => {
    const { resourceVersion } = (await ask(`${maps}/a`)).json.metadata;
    assert.equal((await ask(`${maps}/a?resourceVersion=${resourceVersion}`)).status, 200);
    assert.equal((await ask(`${maps}/a?resourceVersion=0`)).status, 200);
    for (const path of [`${maps}/a`, maps]) {
      const early = await ask(`${path}?resourceVersion=99999999`);
      assert.deepEqual([early.status, early.json.details.causes[0].reason], [504, 'ResourceVersionTooLarge']);
      assert.equal(early.headers['retry-after'], '1');
    }
    assert.equal((await ask(`${maps}/a?resourceVersion=abc`)).status, 400);
  });

  test('matches as the table of the page says', async () => {
    const { resourceVersion } = (await ask(letters)).json.metadata;
    await make('f');
    const at = async (match: string) =>
      namesOf((await ask(`${letters}&resourceVersion=${resourceVersion}${match}`)).json).length;
    assert.equal(await at('&resourceVersionMatch=Exact'), 5);
    assert.equal(await at('&resourceVersionMatch=NotOlderThan'), 6);
    assert.equal(await at(''), 6);
    assert.equal(await at('&limit=10'), 5);
    await running.api.client.delete(resources.configmaps, 'f', { namespace: 'default' });
    const refused = [
      'resourceVersionMatch=Exact',
      'resourceVersionMatch=Exact&resourceVersion=0',
      'resourceVersionMatch=Near&resourceVersion=5',
      'sendInitialEvents=true',
      'watch=1&resourceVersionMatch=NotOlderThan',
      'watch=1&sendInitialEvents=true&resourceVersionMatch=Exact&allowWatchBookmarks=1',
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    ];
    for (const query of refused) assert.equal((await ask(`${maps}?${query}`)).status, 422, query);
  });
});

describe('a watch', () => {
  test('that asks for the state first is told it, then where it ends, then what changes', async () => {
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const events = await firstEvents(`${letters}&${query}`, 7, { onBookmark: () => void make('g') });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['ADDED', 'ADDED', 'ADDED', 'ADDED', 'ADDED', 'BOOKMARK', 'ADDED'],
    );
    const { annotations, resourceVersion } = events[5]!.object.metadata;
    assert.deepEqual(annotations, { 'k8s.io/initial-events-end': 'true' });
    assert.ok(Number(events[6]!.object.metadata.resourceVersion) > Number(resourceVersion));
    await running.api.client.delete(resources.configmaps, 'g', { namespace: 'default' });
  });

  test('that asks for metadata is told no more, the bookmark included', async () => {
    const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const events = await firstEvents(`${letters}&${query}`, 6, { headers: { accept } });
    for (const { object } of events) {
      assert.deepEqual([object.kind, object.data], ['PartialObjectMetadata', undefined]);
    }
    assert.equal(events[5]!.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
  });
});

describe('a field that stands twice', () => {
  const body = '{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}';
  const send = (validation: string) =>
    ask(`${maps}?dryRun=All&fieldValidation=${validation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });

  test('is refused, told or taken as the client wishes', async () => {
    const strict = await send('Strict');
    assert.equal(strict.status, 400);
    assert.match(strict.json.message, /strict decoding error: duplicate field "data.a"/);
    const warned = await send('Warn');
    assert.deepEqual([warned.status, warned.json.data.a], [201, '2']);
    assert.match(String(warned.headers.warning), /duplicate field \\"data.a\\"/);
    assert.equal((await send('Ignore')).headers.warning, undefined);
  });
});

describe('answers', () => {
  test('of metadata alone come as objects and as lists', async () => {
    const one = await ask(`${maps}/a`, {
      headers: { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' },
    });
    assert.deepEqual([one.json.kind, one.json.metadata.name], ['PartialObjectMetadata', 'a']);
    const list = await ask(`${maps}?limit=1`, {
      headers: { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' },
    });
    assert.deepEqual([list.json.kind, list.json.items[0].kind], ['PartialObjectMetadataList', 'PartialObjectMetadata']);
    assert.ok(list.json.metadata.continue);
  });

  test('as a Table hold as much of the object as was asked for', async () => {
    const headers = { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' };
    const row = async (include: string) =>
      (await ask(`${maps}/a?includeObject=${include}`, { headers })).json.rows[0].object;
    assert.equal(await row('None'), undefined);
    assert.equal((await row('Metadata')).kind, 'PartialObjectMetadata');
    assert.equal((await row('Object')).kind, 'ConfigMap');
    assert.equal((await ask(`${maps}/a?includeObject=All`, { headers })).status, 400);
  });

  test('in a form that is not written here are refused; a client that also takes JSON gets JSON', async () => {
    const protobuf = 'application/vnd.kubernetes.protobuf';
    assert.equal((await ask(maps, { headers: { accept: protobuf } })).status, 406);
    assert.equal((await ask(maps, { headers: { accept: `${protobuf},application/json` } })).status, 200);
  });

  test('of discovery in one piece have a tag by which they need not come again', async () => {
    for (const version of ['v2', 'v2beta1']) {
      const accept = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`;
      const whole = await ask('/apis', { headers: { accept } });
      assert.equal(whole.json.apiVersion, `apidiscovery.k8s.io/${version}`);
      assert.match(String(whole.headers['content-type']), new RegExp(`;g=apidiscovery.k8s.io;v=${version};as=`));
      const again = await ask('/apis', { headers: { accept, 'if-none-match': String(whole.headers.etag) } });
      assert.deepEqual([again.status, again.text], [304, '']);
    }
  });
});
