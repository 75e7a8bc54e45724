import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeClock } from '../../base/clock.ts';
import { readAway } from './read-away.ts';

const incoming = () =>
  Object.assign(new PassThrough(), { complete: false }) as unknown as PassThrough & IncomingMessage;

test('a body is read to its end', async () => {
  const request = incoming();
  const done = readAway(request, new FakeClock());
  for (let i = 0; i < 20; i++) if (!request.write(Buffer.alloc(1 << 20))) await turn();
  request.end();
  await done;
  assert.equal(request.readableLength, 0);
});

test('of a body without end 32 MiB are read, and of one that does not come nothing after two seconds', async () => {
  const endless = incoming();
  let over = false;
  const done = readAway(endless, new FakeClock()).then(() => {
    over = true;
  });
  let sent = 0;
  for (; !over && sent < 100; sent++, await turn()) endless.write(Buffer.alloc(1 << 20));
  await done;
  assert.ok(sent >= 32 && sent < 40, `${sent} MiB`);

  const clock = new FakeClock();
  const silent = readAway(incoming(), clock);
  await clock.advance(2_000);
  await silent;
});
