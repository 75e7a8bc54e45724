import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { connectAgent } from './agent-client.ts';
import { encodeFrame, type Frame, FrameDecoder, frameType, ProtocolViolation } from './frames.ts';
import { OutputStream } from './output-stream.ts';

type Guest = (frame: Frame, socket: Socket) => void;

/** A guest that answers SYNC as it should, and everything else as `guest` does. */
async function withGuest(guest: Guest, body: (channelPath: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-agent-'));
  const channelPath = join(directory, 'channel');
  const server = createServer((socket) => {
    const decoder = new FrameDecoder();
    socket.on('error', () => {});
    socket.on('data', (data) => {
      for (const frame of decoder.push(data)) {
        const hello = Buffer.concat([frame.payload, Buffer.from('{"protocol":1,"agent":"test"}')]);
        if (frame.type === frameType.sync) socket.write(encodeFrame({ type: frameType.syncAck }, hello));
        else guest(frame, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(channelPath, resolve));
  try {
    await body(channelPath);
  } finally {
    server.close();
    await rm(directory, { recursive: true });
  }
}

const dial = (channelPath: string) => connectAgent({ channelPath, sandboxId: 's1', timeoutMs: 30_000, adopted: false });

function message(value: unknown): Buffer {
  const head = Buffer.from(JSON.stringify(value));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head]);
}

const reply = (frame: Frame, value: unknown) => encodeFrame({ type: frameType.reply, id: frame.id }, message(value));

/** Each lie ends the connection: the call under way fails, and the events end. */
const lies: Record<string, Guest> = {
  'an impossible frame': (_, socket) => socket.write(Buffer.alloc(100, 0xff)),
  'an answer to a question nobody asked': (frame, socket) =>
    socket.write(encodeFrame({ type: frameType.reply, id: frame.id + 1 }, message({ ok: null }))),
  'an answer that is shorter than it says': (frame, socket) =>
    socket.write(encodeFrame({ type: frameType.reply, id: frame.id }, Buffer.from([255, 255, 0, 0, 1]))),
  'an answer that is no JSON': (frame, socket) =>
    socket.write(encodeFrame({ type: frameType.reply, id: frame.id }, Buffer.from([1, 0, 0, 0, 0x7b]))),
  'an answer without end': (frame, socket) => {
    for (let piece = 0; piece < 300; piece++)
      socket.write(encodeFrame({ type: frameType.reply, part: 1, id: frame.id }, Buffer.alloc(65_536)));
  },
  'an answer of the wrong form': (frame, socket) => socket.write(reply(frame, { ok: [{ id: 1 }] })),
  'a flood of events': (_, socket) => {
    const event = Buffer.from(JSON.stringify({ type: 'oom', containerId: 'c' }));
    for (let count = 0; count < 5000; count++) socket.write(encodeFrame({ type: frameType.event }, event));
  },
  'an event of no known kind': (_, socket) => socket.write(encodeFrame({ type: frameType.event }, Buffer.from('{}'))),
};

for (const [name, lie] of Object.entries(lies))
  test(`${name} breaks the connection, by name`, () =>
    withGuest(lie, async (channelPath) => {
      const agent = await dial(channelPath);
      await assert.rejects(agent.listContainers(), (error) => {
        assert.ok(isReason(error, 'InternalError'));
        assert.match(error.message, /^agent of sandbox s1 broke the protocol/);
        return true;
      });
      const events = await Array.fromAsync(agent.events(new AbortController().signal));
      assert.equal(events.at(-1)?.type, 'closed');
    }));

test('a filter that is larger than any kernel takes is not taken in part', () =>
  withGuest(
    (frame, socket) => {
      const answer = Buffer.concat([message({ ok: null }), Buffer.alloc(32 * 1024 + 8)]);
      socket.write(encodeFrame({ type: frameType.reply, id: frame.id }, answer));
    },
    async (channelPath) => {
      const agent = await dial(channelPath);
      await assert.rejects(agent.readFilter('c'), /broke the protocol: a filter that no kernel takes/);
    },
  ));

test('output that the guest makes up out of order, or more than it may hold back, breaks the connection', async () => {
  const chunk = (offset: number, size: number) => {
    const bytes = Buffer.alloc(16 + size);
    bytes.writeBigUInt64LE(BigInt(offset));
    return bytes;
  };
  const tricks = [
    [chunk(0, 5), chunk(6, 5)],
    [chunk(0, 5), chunk(3, 5)],
    Array.from({ length: 20 }, (_, index) => chunk(index * 30_000, 30_000)),
    [Buffer.alloc(16)],
  ];
  for (const trick of tricks)
    await withGuest(
      (frame, socket) => {
        if (frame.type !== frameType.call) return;
        socket.write(reply(frame, { ok: null }));
        for (const payload of trick) socket.write(encodeFrame({ type: frameType.data, part: 1, id: 1 }, payload));
      },
      async (channelPath) => {
        const agent = await dial(channelPath);
        await assert.rejects(Array.fromAsync(agent.output('c', { stdout: 0n, stderr: 0n })), /broke the protocol/);
      },
    );
});

test('output in crumbs that nobody takes is a violation, before they weigh more than they say', () => {
  const output = new OutputStream({ stdout: 0n, stderr: 0n });
  const say = (count: number) => {
    for (let index = 0; index < count; index++) {
      const payload = Buffer.alloc(17);
      payload.writeBigUInt64LE(BigInt(index));
      output.data(1, payload);
    }
  };
  assert.throws(() => say(100_000), ProtocolViolation);
});

test("a guest's error keeps a reason we know, and loses what could disturb a terminal", () =>
  withGuest(
    (frame, socket) => socket.write(reply(frame, { error: { reason: 'Nonsense', message: 'a\u001b[2Jb' } })),
    async (channelPath) => {
      const agent = await dial(channelPath);
      await assert.rejects(agent.bindDisk('image1'), { reason: 'InternalError', message: 'a [2Jb' });
      await agent.close();
    },
  ));

test('a guest that never answers is given up after its time, or at once when told so', async () => {
  const options = { channelPath: '/nosuch/channel', sandboxId: 's1', timeoutMs: 50, adopted: true };
  await assert.rejects(connectAgent(options), (error) => isReason(error, 'Timeout'));
  const stop = new AbortController();
  const connecting = connectAgent({ ...options, timeoutMs: 60_000, signal: stop.signal });
  stop.abort(new Error('the machine is gone'));
  await assert.rejects(connecting, /the machine is gone/);
});

test('a guest that goes fails what waits for it', () =>
  withGuest(
    (_, socket) => socket.destroy(),
    async (channelPath) => {
      const agent = await dial(channelPath);
      await assert.rejects(agent.stats(), (error) => isReason(error, 'ServiceUnavailable'));
      await assert.rejects(agent.stats(), (error) => isReason(error, 'ServiceUnavailable'));
    },
  ));
