/** A server with few places for watches: what the clients beyond them are told, over HTTPS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, test } from 'node:test';
import { inDefault, type ServedApi, serveTestApi } from './api-ask.ts';
import { until } from './support/wait.ts';

const maxWatches = 10;
/** The tests' client is an admin, for whom there is one more. */
const places = maxWatches + 1;

let running: ServedApi;
before(async () => {
  running = await serveTestApi({ maxWatches });
});
after(() => running[Symbol.asyncDispose]());

async function open(): Promise<IncomingMessage> {
  const sent = request(new URL(`${inDefault}/pods?watch=1&resourceVersion=0`, running.served.url), {
    agent: running.admin,
  });
  sent.on('error', () => {});
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response.on('error', () => {});
}

test('watches beyond the bound get 429 with Retry-After, everything else is answered, and a place that is left is taken', async () => {
  const watches = await Promise.all(Array.from({ length: places }, open));
  assert.deepEqual(new Set(watches.map(({ statusCode }) => statusCode)), new Set([200]));
  const refused = await running.ask(`${inDefault}/pods?watch=1&resourceVersion=0`);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers['retry-after']) >= 5, String(refused.headers['retry-after']));
  assert.equal(refused.json.reason, 'TooManyRequests');
  assert.equal((await running.ask(`${inDefault}/pods`)).status, 200);
  // One that is refused for another reason takes no place.
  watches.pop()!.destroy();
  await until('its place is free', async () => {
    const bad = await running.ask(`${inDefault}/pods?watch=1&fieldSelector=no.such%3Dfield`);
    if (bad.status !== 429) assert.equal(bad.status, 400);
    return bad.status === 400;
  });
  const again = await open();
  assert.equal(again.statusCode, 200);
  for (const watch of [...watches, again]) watch.destroy();
});
