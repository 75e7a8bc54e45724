import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { boolean, bytes, int64, Message, nested, pairs, repeated, string, uint32 } from './protobuf.ts';
import { callTtrpc } from './ttrpc-client.ts';
import { encodeMessage, MessageDecoder, maxMessageBytes, messageType, requestMessage } from './ttrpc-frames.ts';
import { serveTtrpc, type TtrpcCall, type TtrpcMethods } from './ttrpc-server.ts';

const inner = new Message({ seconds: int64(1), nanos: uint32(2) });
const outer = new Message({
  name: string(1),
  data: bytes(2),
  flag: boolean(3),
  at: nested(4, inner),
  words: repeated(string(5)),
  labels: pairs(6),
});

test('a message comes back as it went, and what is absent has its default', () => {
  const value = {
    name: 'näme',
    data: Buffer.from([0, 255]),
    flag: true,
    at: { seconds: -5n, nanos: 7 },
    words: ['', 'b'],
    labels: [{ key: 'k', value: 'v' }],
  };
  assert.deepEqual(outer.decode(outer.encode(value)), value);
  assert.deepEqual(outer.decode(Buffer.alloc(0)), {
    name: '',
    data: Buffer.alloc(0),
    flag: false,
    at: undefined,
    words: [],
    labels: [],
  });
});

test('bytes are those that protoc writes', () => {
  // protoc --encode, by hand: field 1 "ab", field 4 {1: 150}.
  assert.equal(outer.encode({ name: 'ab', at: { seconds: 150n } }).toString('hex'), '0a02616222030896' + '01');
  // A field nobody knows (9, varint) is read over.
  assert.equal(outer.decode(Buffer.from('48010a0178', 'hex')).name, 'x');
});

test('torn or lying bytes are refused', () => {
  for (const hex of ['0a05', '0a', '08ffffffffffffffffffff01', '0b00', '0801'])
    assert.throws(() => outer.decode(Buffer.from(hex, 'hex')), { reason: 'BadRequest' }, hex);
});

test('messages are found in a stream however it is cut', () => {
  const payload = Buffer.from('payload');
  const stream = Buffer.concat([1, 3, 5].map((id) => encodeMessage(messageType.request, id, payload)));
  for (const size of [1, 7, 11, 100]) {
    const decoder = new MessageDecoder();
    const found: number[] = [];
    for (let at = 0; at < stream.length; at += size)
      for (const message of decoder.push(stream.subarray(at, at + size))) found.push(message.streamId);
    assert.deepEqual(found, [1, 3, 5]);
  }
});

async function serving(methods: TtrpcMethods, work: (socketPath: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ttrpc-'));
  const socketPath = join(directory, 's');
  const server = createServer((socket) => serveTtrpc(socket, methods));
  await new Promise<void>((resolve) => server.listen(socketPath, () => resolve()));
  try {
    await work(socketPath);
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

const call = (socketPath: string, method: string, payload = Buffer.alloc(0)) =>
  callTtrpc({ socketPath, service: 's', method, namespace: 'n', payload, timeoutMs: 30_000 });

test('a call is answered, refused with its reason, or unknown', async () => {
  const methods: TtrpcMethods = new Map<string, (call: TtrpcCall) => Promise<Buffer>>([
    ['s/Echo', async ({ payload }) => payload],
    ['s/Fail', async () => Promise.reject(new SampanError('NotFound', 'no such thing'))],
  ]);
  await serving(methods, async (socketPath) => {
    assert.equal((await call(socketPath, 'Echo', Buffer.from('abc'))).toString(), 'abc');
    await assert.rejects(call(socketPath, 'Fail'), /no such thing/);
    await assert.rejects(call(socketPath, 'Other'), /has no method Other/);
  });
  await assert.rejects(call('/nowhere/s', 'Echo'), { reason: 'ServiceUnavailable' });
});

test('a client that sends nonsense or too much loses its connection, and others do not notice', async () => {
  const methods: TtrpcMethods = new Map([['s/Echo', async ({ payload }) => payload]]);
  await serving(methods, async (socketPath) => {
    const huge = encodeMessage(messageType.request, 1, Buffer.alloc(0));
    huge.writeUInt32BE(maxMessageBytes + 1, 0);
    const socket = connect(socketPath);
    socket.write(huge);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    assert.equal((await call(socketPath, 'Echo', Buffer.from('x'))).toString(), 'x');
  });
});

test('a call whose client hangs up is told', async () => {
  const [begun, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waits = async ({ signal }: { signal: AbortSignal }) => {
    begun.resolve();
    signal.addEventListener('abort', () => told.resolve());
    await told.promise;
    return Buffer.alloc(0);
  };
  await serving(new Map([['s/Wait', waits]]), async (socketPath) => {
    const socket = connect(socketPath);
    socket.write(encodeMessage(messageType.request, 1, requestMessage.encode({ service: 's', method: 'Wait' })));
    await begun.promise;
    socket.destroy();
    await told.promise;
  });
});
