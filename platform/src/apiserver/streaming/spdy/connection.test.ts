import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Duplex, duplexPair, Readable } from 'node:stream';
import { test } from 'node:test';
import { textOf, until } from '../../../../test/fixtures/streaming-server.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { SpdyConnection } from './connection.ts';
import {
  dataFrame,
  type FramePart,
  FrameReader,
  frameFlags,
  frameTypes,
  pingFrame,
  resetFrame,
  synReplyFrame,
  windowUpdateFrame,
} from './frames.ts';
import { HeaderWriter } from './headers.ts';
import type { SpdyStream } from './stream.ts';

/** The client's end, without a mind of its own: what the test does not send is not sent. */
class Peer {
  readonly socket: Duplex;
  readonly parts: FramePart[] = [];
  readonly #headers = new HeaderWriter();

  constructor(socket: Duplex) {
    this.socket = socket;
    const frames = new FrameReader();
    socket.on('data', (chunk: Buffer) => this.parts.push(...frames.read(chunk)));
    socket.on('error', () => {});
  }

  open(id: number, flags = 0): void {
    const block = this.#headers.write([['streamtype', `s${id}`]]);
    const head = Buffer.alloc(18);
    head.writeUInt32BE(0x80030001);
    head.writeUInt32BE(10 + block.length, 4);
    head[4] = flags;
    head.writeUInt32BE(id, 8);
    this.socket.write(Buffer.concat([head, block]));
  }

  data(id: number): Buffer {
    return Buffer.concat(
      this.parts.flatMap((part) => (part.kind === 'data' && part.streamId === id ? [part.bytes] : [])),
    );
  }

  finished(id: number): boolean {
    return this.parts.some((part) => part.kind === 'data' && part.streamId === id && part.fin);
  }

  controls(type: number): number[] {
    return this.parts.flatMap((part) =>
      part.kind === 'control' && part.type === type ? [part.payload.readUInt32BE(0)] : [],
    );
  }
}

function connect() {
  const [client, server] = duplexPair();
  const streams = new Map<number, SpdyStream>();
  const onStream = (stream: SpdyStream) => void streams.set(stream.id, stream);
  const connection = new SpdyConnection({ duplex: server, onStream, log: silentLogger, clock: systemClock });
  const peer = new Peer(client);
  const opened = async (id: number, flags = 0) => {
    peer.open(id, flags);
    await until(() => streams.has(id), `stream ${id} is open`);
    return streams.get(id)!;
  };
  return { peer, connection, streams, opened, [Symbol.dispose]: () => connection.destroy() };
}

test('a stream is answered, carries both ways, and closes each way by itself', async () => {
  using lab = connect();
  const stream = await lab.opened(1);
  await until(() => lab.peer.controls(frameTypes.synReply).includes(1), 'it is answered');
  assert.equal(stream.headers.get('streamtype'), 's1');
  lab.peer.socket.write(Buffer.concat([dataFrame(1, Buffer.from('to ')), dataFrame(1, Buffer.from('server'), true)]));
  assert.equal(await textOf(stream.readable), 'to server');
  const writer = stream.writable.getWriter();
  await writer.write(Buffer.from('to client'));
  await writer.close();
  await until(() => lab.peer.finished(1), 'FIN came');
  assert.equal(lab.peer.data(1).toString(), 'to client');
});

test('a stream may be opened and half-closed in one', async () => {
  using lab = connect();
  assert.equal(await textOf((await lab.opened(1, frameFlags.fin)).readable), '');
});

test('a client that knows no windows gets a megabyte without granting any', async () => {
  using lab = connect();
  const bytes = randomBytes(1 << 20);
  await (await lab.opened(1)).writable.getWriter().write(bytes);
  await until(() => lab.peer.data(1).length === bytes.length, 'all has come');
  assert.deepEqual(lab.peer.data(1), bytes);
  assert.deepEqual(lab.peer.controls(frameTypes.windowUpdate), []);
});

test('a client that uses windows gets no more than it grants, and is granted what was read', async () => {
  using lab = connect();
  lab.peer.socket.write(windowUpdateFrame(0, 1));
  const stream = await lab.opened(1);
  const bytes = randomBytes(200_000);
  const written = stream.writable.getWriter().write(bytes);
  await until(() => lab.peer.data(1).length === 65536, 'the stream’s window is used up');
  await systemClock.sleep(30);
  assert.equal(lab.peer.data(1).length, 65536);
  lab.peer.socket.write(windowUpdateFrame(1, 200_000));
  await until(() => lab.peer.data(1).length === 65537, 'the connection’s window is used up');
  lab.peer.socket.write(windowUpdateFrame(0, 200_000));
  await written;
  await until(() => lab.peer.data(1).length === bytes.length, 'all has come');

  lab.peer.socket.write(dataFrame(1, randomBytes(40_000)));
  const reader = stream.readable.getReader();
  for (let read = 0; read < 40_000; ) read += (await reader.read()).value?.length ?? 0;
  await until(() => lab.peer.controls(frameTypes.windowUpdate).length === 2, 'both windows were widened');
  assert.deepEqual(lab.peer.controls(frameTypes.windowUpdate).sort(), [0, 1]);
});

test('an initial window from SETTINGS holds for streams to come', async () => {
  using lab = connect();
  const settings = Buffer.from('800300040000000c00000001000000070000000a', 'hex');
  lab.peer.socket.write(settings);
  const stream = await lab.opened(1);
  void stream.writable
    .getWriter()
    .write(randomBytes(100))
    .catch(() => {});
  await until(() => lab.peer.data(1).length === 10, 'ten bytes came');
  await systemClock.sleep(20);
  assert.equal(lab.peer.data(1).length, 10);
});

test('what nobody reads stops the client, is bounded, and comes whole when it is read', async () => {
  using lab = connect();
  const stream = await lab.opened(1);
  const bytes = randomBytes(6 << 20);
  const frame = dataFrame(1, bytes, true);
  const slices = Array.from({ length: 97 }, (_, index) => frame.subarray(index << 16, (index + 1) << 16));
  Readable.from(slices).pipe(lab.peer.socket, { end: false });
  await until(() => stream.queued > 1 << 20, 'the queue is full');
  await systemClock.sleep(30);
  assert.ok(stream.queued <= (1 << 20) + (64 << 10), `${stream.queued} bytes are queued`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.readable) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), bytes);
});

test('many small frames that nobody reads are bounded too', async () => {
  using lab = connect();
  const stream = await lab.opened(1);
  const frame = dataFrame(1, randomBytes(16 << 10));
  let sent = 0;
  while (sent < 16 << 20 && !(await blocked(lab.peer.socket))) {
    lab.peer.socket.write(frame);
    sent += 16 << 10;
  }
  assert.ok(sent < 2 << 20, `${sent} bytes were taken in`);
  assert.ok(stream.queued <= (1 << 20) + (64 << 10));
});

async function blocked(socket: Duplex): Promise<boolean> {
  if (!socket.writableNeedDrain) return false;
  await systemClock.sleep(20);
  return socket.writableNeedDrain;
}

test('a stream that is discarded holds up no other', async () => {
  using lab = connect();
  const [first, second] = [await lab.opened(1), await lab.opened(3)];
  first.discard();
  lab.peer.socket.write(dataFrame(1, randomBytes(5 << 20)));
  lab.peer.socket.write(dataFrame(3, Buffer.from('through'), true));
  assert.equal(await textOf(second.readable), 'through');
});

test('a reset ends a stream both ways and leaves the others alone', async () => {
  using lab = connect();
  const [first, second] = [await lab.opened(1), await lab.opened(3)];
  lab.peer.socket.write(Buffer.concat([resetFrame(1, 5), dataFrame(3, Buffer.from('well'), true)]));
  await assert.rejects(textOf(first.readable), /reset/);
  await assert.rejects(first.writable.getWriter().write(Buffer.from('x')), /reset/);
  assert.ok(first.broken.aborted && !second.broken.aborted);
  assert.equal(await textOf(second.readable), 'well');
});

test('a client that is gone breaks every stream, and whoever waits to write', async () => {
  using lab = connect();
  lab.peer.socket.write(windowUpdateFrame(0, 1));
  const stream = await lab.opened(1);
  const write = stream.writable.getWriter().write(randomBytes(1 << 20));
  const read = textOf(stream.readable);
  lab.peer.socket.destroy();
  await assert.rejects(read);
  await assert.rejects(write);
  assert.ok(lab.connection.closed.aborted);
});

test('pings are answered, our own are not', async () => {
  using lab = connect();
  lab.peer.socket.write(Buffer.concat([pingFrame(2), pingFrame(41)]));
  await until(() => lab.peer.controls(frameTypes.ping).length > 0, 'an answer came');
  assert.deepEqual(lab.peer.controls(frameTypes.ping), [41]);
});

test('ids that go back, and data of a stream that never was, are errors', async () => {
  using lab = connect();
  await lab.opened(5);
  lab.peer.socket.write(dataFrame(9, Buffer.from('x')));
  await until(() => lab.peer.controls(frameTypes.rstStream).includes(9), 'stream 9 was reset');
  lab.peer.open(3);
  await until(() => lab.connection.closed.aborted, 'the connection has ended');
});

test('no more than 512 streams at once', async () => {
  using lab = connect();
  for (let id = 1; id <= 1025; id += 2) lab.peer.open(id);
  await until(() => lab.peer.controls(frameTypes.rstStream).length > 0, 'one was refused');
  assert.equal(lab.streams.size, 512);
  assert.deepEqual(lab.peer.controls(frameTypes.rstStream), [1025]);
});

test('close says goodbye, and the client still gets all that was written', async () => {
  using lab = connect();
  const stream = await lab.opened(1);
  const writer = stream.writable.getWriter();
  await writer.write(randomBytes(100_000));
  await writer.close();
  lab.peer.socket.on('end', () => lab.peer.socket.end());
  await lab.connection.close();
  assert.equal(lab.peer.data(1).length, 100_000);
  assert.deepEqual(lab.peer.controls(frameTypes.goAway), [1]);
});

test('noise ends the connection and nothing else', async () => {
  for (let round = 0; round < 200; round++) {
    using lab = connect();
    if (round % 2) lab.peer.open(1);
    const noise = randomBytes(1 + round * 7);
    if (round % 3) noise.set([0x80, 3, 0, 1 + (round % 9), 0, 0, 0], 0);
    lab.peer.socket.end(noise);
    await until(() => lab.connection.closed.aborted, 'it has ended');
  }
});

test('what came right before the other end hung up is read', async () => {
  const [here, there] = duplexPair();
  // As a socket that is closed both ways.
  here.once('end', () => here.destroy());
  const client = new SpdyConnection({ duplex: here, log: silentLogger, clock: systemClock });
  const { readable } = client.open([['streamtype', 'error']]);
  const reply = synReplyFrame(1, new HeaderWriter().write([]));
  there.end(Buffer.concat([reply, dataFrame(1, Buffer.from('last words'), true)]));
  assert.equal(await textOf(readable), 'last words');
});
