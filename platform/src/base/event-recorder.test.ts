import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { Event as KubeEvent } from 'kubernetes-types/core/v1.js';
import { FakeClock } from './clock.ts';
import { createEventRecorder } from './event-recorder.ts';
import { silentLogger } from './log.ts';

function world() {
  const clock = new FakeClock(Date.parse('2026-01-02T03:04:05Z'));
  const events = new Map<string, KubeEvent>();
  const client = {
    async create(_: unknown, event: KubeEvent) {
      events.set(event.metadata.name ?? '', event);
      return event;
    },
    async patch(_: unknown, name: string, change: Partial<KubeEvent>) {
      const event = events.get(name);
      if (!event) throw new SampanError('NotFound', name);
      Object.assign(event, change);
      return event;
    },
  } as unknown as KubeClient;
  const recorder = createEventRecorder({ client, component: 'kubelet', host: 'node', clock, log: silentLogger });
  const about = (name: string) => ({ kind: 'Pod', name, namespace: 'n', uid: `uid-${name}` });
  const all = async () => {
    await clock.advance(1000);
    await recorder.flush();
    return [...events.values()];
  };
  return { clock, events, recorder, about, all };
}

test('an event says what happened, to what, when, and who saw it', async () => {
  const { recorder, about, all } = world();
  recorder.event(about('p'), 'Normal', 'Started', 'Started container web');
  const [event] = await all();
  assert.equal(event?.metadata.namespace, 'n');
  assert.match(event?.metadata.name ?? '', /^p\.[0-9a-f]{16}$/);
  assert.deepEqual(
    [event?.type, event?.reason, event?.message, event?.count, event?.firstTimestamp],
    ['Normal', 'Started', 'Started container web', 1, '2026-01-02T03:04:05Z'],
  );
  assert.deepEqual(event?.source, { component: 'kubelet', host: 'node' });
  assert.deepEqual(event?.involvedObject, about('p'));
});

test('the same again is counted; something else is another event', async () => {
  const { recorder, about, all, clock } = world();
  recorder.event(about('p'), 'Warning', 'BackOff', 'again');
  await clock.advance(60_000);
  recorder.event(about('p'), 'Warning', 'BackOff', 'again');
  recorder.event(about('p'), 'Warning', 'BackOff', 'and again');
  recorder.event(about('q'), 'Warning', 'BackOff', 'again');
  const events = await all();
  assert.deepEqual(
    events.map(({ involvedObject, message, count }) => [involvedObject.name, message, count]),
    [
      ['p', 'again', 2],
      ['p', 'and again', 1],
      ['q', 'again', 1],
    ],
  );
  assert.equal(events[0]?.lastTimestamp, '2026-01-02T03:05:05Z');
  assert.equal(events[0]?.firstTimestamp, '2026-01-02T03:04:05Z');
});

test('an event that expired meanwhile is written anew', async () => {
  const { recorder, about, all, events } = world();
  recorder.event(about('p'), 'Normal', 'Pulled', 'x');
  await all();
  events.clear();
  recorder.event(about('p'), 'Normal', 'Pulled', 'x');
  assert.deepEqual(
    (await all()).map(({ count }) => count),
    [1],
  );
});

test('one object cannot flood the API, and is heard again after a while', async () => {
  const { recorder, about, all, clock } = world();
  for (let index = 0; index < 100; index++) recorder.event(about('p'), 'Warning', 'Loud', `${index}`);
  recorder.event(about('q'), 'Normal', 'Quiet', 'x');
  assert.equal((await all()).length, 26);
  await clock.advance(5 * 60_000);
  for (let index = 0; index < 5; index++) recorder.event(about('p'), 'Warning', 'Loud', `later ${index}`);
  assert.equal((await all()).length, 27);
});

test('a very long message is cut', async () => {
  const { recorder, about, all } = world();
  recorder.event(about('p'), 'Normal', 'Long', 'x'.repeat(5000));
  assert.equal((await all())[0]?.message?.length, 1024);
});
