import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventHub } from './event-hub.ts';

const event = (containerId: number) => ({ containerId: String(containerId) });

test('a watcher that does not read keeps the last thousand events, and the others get theirs', async () => {
  const hub = new EventHub(new AbortController().signal);
  const [idle, busy] = [hub.watch(), hub.watch()];
  hub.publish(event(0));
  assert.equal((await busy.next()).value?.containerId, '0');
  for (let id = 1; id < 2500; id++) hub.publish(event(id));
  assert.equal((await idle.next()).value?.containerId, '1500');
  await idle.return?.();
  await busy.return?.();
  assert.equal(hub.watched, false);
});

test('a watcher that waits is let go when the runtime closes', async () => {
  const closing = new AbortController();
  const hub = new EventHub(closing.signal);
  const waiting = hub.watch().next();
  closing.abort();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.equal(hub.watched, false);
});
