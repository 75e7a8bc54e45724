import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { WebSocket } from 'ws';
import { startStreamingServer, until } from '../../../../test/fixtures/streaming-server.ts';

/** Everything a client of `protocols` is sent until the server hangs up. */
async function read(protocols: string[], pieces: string[]) {
  await using server = await startStreamingServer({
    kind: 'log',
    async *lines() {
      for (const piece of pieces) yield Buffer.from(piece);
    },
  });
  const socket = new WebSocket(`ws://${server.address}/?container=main&tailLines=2`, protocols);
  const messages: { text: string; binary: boolean }[] = [];
  socket.on('message', (data: Buffer, binary) => messages.push({ text: data.toString(), binary }));
  const [code] = (await once(socket, 'close')) as [number];
  return { code, messages, calls: server.calls as [string, { container: string; tailLines: number }][] };
}

test('a log over WebSocket: an empty message, then each piece, then the end', async () => {
  const { code, messages, calls } = await read(['binary.k8s.io'], ['one\n', 'two\n']);
  assert.deepEqual(
    messages,
    ['', 'one\n', 'two\n'].map((text) => ({ text, binary: true })),
  );
  assert.equal(code, 1000);
  assert.equal(calls[0]?.[1].container, 'main');
  assert.equal(calls[0]?.[1].tailLines, 2);
});

test('a log in base64 is text', async () => {
  const { messages } = await read(['base64.binary.k8s.io'], ['é\n']);
  assert.deepEqual(messages[1], { text: Buffer.from('é\n').toString('base64'), binary: false });
});

test('a log over WebSocket: what fails before the upgrade is an answer, and a client that leaves is told', async () => {
  await using refusing = await startStreamingServer({ kind: 'log', failure: new SampanError('NotFound', 'no such') });
  const refused = new WebSocket(`ws://${refusing.address}/?container=main`, ['binary.k8s.io']);
  const [error] = (await once(refused, 'error')) as [Error];
  assert.match(error.message, /404/);
  let left: AbortSignal | undefined;
  await using following = await startStreamingServer({
    kind: 'log',
    async *lines(signal) {
      left = signal;
      yield Buffer.from('first');
      await once(signal, 'abort');
    },
  });
  const socket = new WebSocket(`ws://${following.address}/?container=main&follow=true`, ['binary.k8s.io']);
  await once(socket, 'message');
  socket.terminate();
  await until(() => left?.aborted === true, 'the gateway was told');
});
