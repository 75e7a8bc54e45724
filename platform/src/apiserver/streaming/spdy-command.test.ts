import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { startStreamingServer, until } from '../../../test/fixtures/streaming-server.ts';
import { FakeClock, systemClock } from '../../base/clock.ts';
import { dataFrame, type FramePart, FrameReader } from './spdy/frames.ts';
import { HeaderWriter } from './spdy/headers.ts';

async function upgrade(address: string, protocols: string[]) {
  const [host, port] = address.split(':');
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocols };
  const asking = request({ host, port, method: 'POST', path: '/?command=cat&stdin=true&stdout=true', headers }).end();
  const [response, socket] = (await once(asking, 'upgrade')) as [{ headers: Record<string, string> }, Socket];
  socket.on('error', () => {});
  const parts: FramePart[] = [];
  const frames = new FrameReader();
  socket.on('data', (chunk: Buffer) => parts.push(...frames.read(chunk)));
  const names = new HeaderWriter();
  const open = (id: number, type: string) => {
    const block = names.write([['streamtype', type]]);
    const head = Buffer.alloc(18);
    head.writeUInt32BE(0x80030001);
    head.writeUInt32BE(10 + block.length, 4);
    head.writeUInt32BE(id, 8);
    socket.write(Buffer.concat([head, block]));
  };
  const data = (id: number) =>
    Buffer.concat(
      parts.flatMap((part) => (part.kind === 'data' && part.streamId === id ? [part.bytes] : [])),
    ).toString();
  return { protocol: response.headers['x-stream-protocol-version'], socket, open, data };
}

test('a command starts when every stream that was asked for is open, and ends with FIN on all of them', async () => {
  await using server = await startStreamingServer({ kind: 'exec' });
  const client = await upgrade(server.address, ['v9.channel.k8s.io', 'v4.channel.k8s.io', 'v3.channel.k8s.io']);
  assert.equal(client.protocol, 'v4.channel.k8s.io');
  client.open(1, 'error');
  client.open(3, 'stdin');
  await systemClock.sleep(50);
  assert.deepEqual(server.calls, []);
  client.open(5, 'stdout');
  const session = await server.session();
  client.socket.write(dataFrame(3, Buffer.from('typed'), true));
  const { value } = await session.input.getReader().read();
  await session.output.write(value!);
  await session.exit(9);
  await once(client.socket, 'end');
  assert.equal(client.data(5), 'typed');
  assert.equal(JSON.parse(client.data(1)).details.causes[0].message, '9');
  assert.ok(session.disposed);
});

test('version 3 and older say in words how it ended', async () => {
  await using server = await startStreamingServer({ kind: 'exec' });
  const client = await upgrade(server.address, ['v2.channel.k8s.io']);
  for (const [id, type] of [
    [1, 'error'],
    [3, 'stdin'],
    [5, 'stdout'],
  ] as const)
    client.open(id, type);
  await (await server.session()).exit(9);
  await once(client.socket, 'end');
  assert.match(client.data(1), /^command terminated with non-zero exit code/);
});

test('a client that never opens its streams is let go, and nothing was started', async () => {
  const clock = new FakeClock();
  await using server = await startStreamingServer({ kind: 'exec', clock });
  const client = await upgrade(server.address, ['v4.channel.k8s.io']);
  client.open(1, 'error');
  await until(() => client.socket.bytesRead > 0, 'the stream is answered');
  let isClosed = false;
  client.socket.once('close', () => {
    isClosed = true;
  });
  // Again: whoever answered may not wait yet.
  for (const endMs = performance.now() + 60_000; !isClosed && performance.now() < endMs; ) await clock.advance(31_000);
  assert.ok(isClosed, 'the client was let go');
  assert.deepEqual(server.calls, []);
});
