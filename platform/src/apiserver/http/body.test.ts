import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { FakeClock } from '../../base/clock.ts';
import { maxBodyBytes, parseBody, readBody } from './body.ts';

function incoming(headers: Record<string, string> = {}): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), { headers }) as unknown as PassThrough & IncomingMessage;
}

test('a body that comes in pieces is read whole', async () => {
  const request = incoming();
  const reading = readBody(request, new FakeClock());
  request.write('{"a":');
  request.end('1}');
  assert.deepEqual(await parseBody(await reading, 'application/json'), { a: 1 });
});

test('a sender that dawdles is given up after a minute', async () => {
  const clock = new FakeClock();
  const request = incoming();
  const reading = assert.rejects(readBody(request, clock), (error) => isReason(error, 'Timeout'));
  request.write('{');
  await clock.advance(60_000);
  await reading;
});

test('a sender that leaves is told apart from one that ends', async () => {
  const request = incoming();
  const reading = assert.rejects(readBody(request, new FakeClock()), (error) => isReason(error, 'BadRequest'));
  request.write('{');
  request.destroy();
  await reading;
});

test('a body that says it is too large is refused before it comes', async () => {
  const request = incoming({ 'content-length': String(maxBodyBytes + 1) });
  await assert.rejects(readBody(request, new FakeClock()), (error) => isReason(error, 'RequestEntityTooLarge'));
});

test('a key that stands twice in YAML is told by its line, as Go tells it', async () => {
  await assert.rejects(parseBody(Buffer.from('\na: 1\nb:\n  c: 1\n  c: 2\n'), 'application/yaml'), {
    message: /line 5: key "c" already set in map/,
  });
});
