/** Events are the same objects in both their groups: written as one, seen as the other, listed, watched and selected in both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { events } from '@sampan/api/kinds/event-v1.ts';
import type { Event as CoreEvent } from 'kubernetes-types/core/v1.js';
import type { Event } from 'kubernetes-types/events/v1.js';
import { startTestApi } from './api-test-server.ts';

const namespace = 'default';
const fresh = (name: string) =>
  ({
    metadata: { name, namespace },
    eventTime: '2024-01-01T00:00:00.000000Z',
    regarding: { kind: 'Pod', name: 'web', namespace },
    reportingController: 'example.com/tester',
    reportingInstance: 'tester-1',
    action: 'Testing',
    reason: 'Tested',
    note: 'it works',
    type: 'Normal',
  }) as unknown as KubeObject;

test('an Event of events.k8s.io is one of core, and the other way round', async () => {
  await using api = await startTestApi();
  const { client } = api;
  await client.create(events, fresh('new'), { namespace });
  const core = await client.get<CoreEvent & KubeObject>(resources.events, 'new', namespace);
  assert.deepEqual([core.message, core.involvedObject.name, core.apiVersion], ['it works', 'web', 'v1']);
  const old = {
    metadata: { name: 'old', namespace },
    involvedObject: { kind: 'Pod', name: 'web', namespace },
    message: 'from before',
    count: 3,
    source: { component: 'kubelet' },
  };
  await client.create(resources.events, old as KubeObject, { namespace });
  const shown = await client.get<Event & KubeObject>(events, 'old', namespace);
  assert.deepEqual([shown.note, shown.deprecatedCount, shown.apiVersion], ['from before', 3, 'events.k8s.io/v1']);
  assert.equal('message' in shown, false);
  const selected = await client.list(events, { namespace, fieldSelector: 'regarding.name=web' });
  assert.deepEqual(
    selected.items.map(({ metadata }) => metadata?.name),
    ['new', 'old'],
  );
  await client.delete(events, 'new', { namespace });
  assert.equal((await client.list(resources.events)).items.length, 1);
});

test('watchers of both groups see one change each in their own words', async () => {
  await using api = await startTestApi();
  const { client } = await api.listen();
  const { resourceVersion } = await client.list(events);
  const signal = AbortSignal.timeout(60_000);
  const first = async (ref: typeof events | typeof resources.events) => {
    for await (const { type, object } of client.watch<KubeObject>(ref, { resourceVersion }, signal))
      if (type === 'ADDED') return object as KubeObject & { note?: string; message?: string };
    return undefined;
  };
  const watched = Promise.all([first(events), first(resources.events), first(events)]);
  await client.create(events, fresh('seen'), { namespace });
  const [ours, theirs, again] = await watched;
  assert.deepEqual([ours?.note, theirs?.message, again?.note], ['it works', 'it works', 'it works']);
  assert.deepEqual([ours?.apiVersion, theirs?.apiVersion], ['events.k8s.io/v1', 'v1']);
});

test('what a new Event must say is asked of it, and what it said does not change', async () => {
  await using api = await startTestApi();
  const { client } = api;
  const bare = { metadata: { name: 'bare', namespace }, regarding: { namespace } } as KubeObject;
  await assert.rejects(
    client.create(events, bare, { namespace }),
    /eventTime: Required.*reportingController: Required/,
  );
  const made = await client.create(events, fresh('said'), { namespace });
  const series = { count: 2, lastObservedTime: '2024-01-01T00:01:00.000000Z' };
  const counted = await client.update<Event & KubeObject>(events, { ...made, series } as Event & KubeObject);
  assert.equal(counted.series?.count, 2);
  await assert.rejects(
    client.update<KubeObject>(events, { ...counted, note: 'else' } as KubeObject),
    /note: .*immutable/,
  );
});
