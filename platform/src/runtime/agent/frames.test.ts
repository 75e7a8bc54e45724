import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, FrameDecoder, frameType, ProtocolViolation, SyncSearch } from './frames.ts';

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
