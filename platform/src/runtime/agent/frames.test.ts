import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, FrameDecoder, frameType, ProtocolViolation, SyncSearch } from './frames.ts';
import { givePayload } from './payload-pool.ts';

const hello = encodeFrame({ type: frameType.data, part: 1, id: 77 }, Buffer.from('hello'));

test('a frame survives being cut anywhere', () => {
  for (let cut = 0; cut < hello.length; cut++) {
    const decoder = new FrameDecoder();
    assert.deepEqual([...decoder.push(hello.subarray(0, cut))], []);
    const [frame] = [...decoder.push(hello.subarray(cut))];
    assert.deepEqual(
      { type: frame?.type, part: frame?.part, id: frame?.id, text: frame?.payload.toString() },
      { type: frameType.data, part: 1, id: 77, text: 'hello' },
    );
  }
});

test('frames of all sizes keep their bytes, though what they came in and what was given back is used again', () => {
  const decoder = new FrameDecoder();
  const sizes = Array.from({ length: 400 }, (_, index) => (index * 7919) % (index % 3 === 0 ? 65_537 : 900));
  const stream = Buffer.concat(
    sizes.map((size, index) => encodeFrame({ type: frameType.data, id: 1 }, Buffer.alloc(size, index))),
  );
  const shared = Buffer.alloc(50_000);
  const kept: { index: number; payload: Buffer }[] = [];
  let index = 0;
  for (let at = 0; at < stream.length; ) {
    const size = stream.copy(shared, 0, at, at + 1 + ((at * 31) % 49_999));
    at += size;
    for (const { payload } of decoder.push(shared.subarray(0, size))) {
      assert.ok(payload.equals(Buffer.alloc(sizes[index]!, index)), `frame ${index}`);
      // Some are given back at once, the others kept to the end.
      if (index % 2 === 0) givePayload(payload);
      else kept.push({ index, payload });
      index += 1;
    }
  }
  assert.equal(index, sizes.length);
  for (const { index, payload } of kept)
    assert.ok(payload.equals(Buffer.alloc(sizes[index]!, index)), `frame ${index}`);
});

test('an impossible frame is a violation, whatever follows it', () => {
  const spoil = (at: number, value: number) => {
    const bytes = Buffer.from(hello);
    bytes[at] = value;
    return bytes;
  };
  for (const bytes of [spoil(0, 0), spoil(0, 99), spoil(2, 1), spoil(10, 2), spoil(hello.length - 1, 0)])
    assert.throws(() => [...new FrameDecoder().push(bytes)], ProtocolViolation);
});

test('the search passes over an older connection in any state, byte by byte', () => {
  const nonce = Buffer.alloc(16, 9);
  const acknowledged = encodeFrame({ type: frameType.syncAck }, Buffer.concat([nonce, Buffer.from('{}')]));
  const older = Buffer.concat([hello.subarray(5), nonce, hello, hello.subarray(0, 3)]);
  const search = new SyncSearch(nonce);
  const found = [...Buffer.concat([older, acknowledged])]
    .map((byte) => search.push(Buffer.from([byte])))
    .find((bytes) => bytes);
  assert.deepEqual(found, acknowledged.subarray(0, 28));
});
