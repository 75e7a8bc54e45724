import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { nowMs, Recorder } from './recorder.ts';

test('what was put aside is read later, in order, with the time at which it came', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const recorder = new Recorder((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    const [peer] = (await once(server, 'connection')) as [Socket];
    const read: { text: string; atMs: number }[] = [];
    recorder.on('data', (bytes: Buffer) => read.push({ text: `${bytes}`, atMs: recorder.atMs }));

    recorder.write('asked');
    const [asked] = (await once(peer, 'data')) as [Buffer];
    assert.equal(`${asked}`, 'asked');
    const head = once(recorder, 'data');
    peer.write('head');
    await head;

    recorder.putAside();
    const beforeMs = nowMs();
    peer.write('one');
    while (recorder.aside < 1) await turn();
    const betweenMs = nowMs();
    peer.write('two');
    while (recorder.aside < 2) await turn();
    assert.deepEqual(
      read.map(({ text }) => text),
      ['head'],
      'nothing is read yet',
    );
    while (recorder.readNext()) await turn();
    assert.deepEqual(
      read.map(({ text }) => text),
      ['head', 'one', 'two'],
    );
    const [, one, two] = read;
    assert.ok(one!.atMs >= beforeMs && one!.atMs <= betweenMs, 'one came before two was sent');
    assert.ok(two!.atMs >= betweenMs && two!.atMs < nowMs());
  } finally {
    recorder.destroy();
    server.close();
  }
});
