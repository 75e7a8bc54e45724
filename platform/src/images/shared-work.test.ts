import assert from 'node:assert/strict';
import { it } from 'node:test';
import { SharedWork } from './shared-work.ts';

it('callers of one key share one piece of work and all hear of its progress', async () => {
  const shared = new SharedWork<number, string>();
  let starts = 0;
  const gate = Promise.withResolvers<void>();
  const heard: string[] = [];
  const join = (name: string) =>
    shared.join({
      key: 'k',
      onProgress: (progress) => heard.push(`${name} ${progress}`),
      start: async (_, report) => {
        report('half');
        await gate.promise;
        return ++starts;
      },
    });
  const both = Promise.all([join('a'), join('b')]);
  await new Promise(setImmediate);
  gate.resolve();
  assert.deepEqual(await both, [1, 1]);
  assert.deepEqual(heard, ['a half', 'b half']);
  assert.equal(await join('c'), 2);
});

it('work goes on while one caller still waits, and is called off with the last', async () => {
  const shared = new SharedWork<string, never>();
  let signal: AbortSignal | undefined;
  const start = (given: AbortSignal) => {
    signal = given;
    return new Promise<string>((_, reject) => given.addEventListener('abort', () => reject(given.reason)));
  };
  const [one, two] = [new AbortController(), new AbortController()];
  const first = shared.join({ key: 'k', signal: one.signal, start });
  const second = shared.join({ key: 'k', signal: two.signal, start });
  one.abort(new Error('one leaves'));
  await assert.rejects(first, /one leaves/);
  assert.equal(signal?.aborted, false);
  two.abort(new Error('two leaves'));
  await assert.rejects(second, /two leaves/);
  assert.equal(signal?.aborted, true);
  await shared.idle();
});

it('who comes after a failure starts anew', async () => {
  const shared = new SharedWork<string, never>();
  await assert.rejects(shared.join({ key: 'k', start: () => Promise.reject(new Error('broken')) }), /broken/);
  assert.equal(await shared.join({ key: 'k', start: async () => 'fine' }), 'fine');
});
