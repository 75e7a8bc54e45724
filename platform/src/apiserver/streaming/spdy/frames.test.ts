import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { dataFrame, type FramePart, FrameReader, frameTypes, pingFrame, resetCodes, resetFrame } from './frames.ts';

/** Reads `bytes` in pieces of `size` and joins what belongs to one data frame. */
function readInPieces(bytes: Buffer, size: number): FramePart[] {
  const reader = new FrameReader();
  const parts: FramePart[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(...reader.read(bytes.subarray(at, at + size)));
  return parts;
}

test('frames are read the same however they are cut', () => {
  const payload = randomBytes(3000);
  const wire = Buffer.concat([
    pingFrame(7),
    dataFrame(5, payload, true),
    dataFrame(9, Buffer.alloc(0), true),
    resetFrame(3, resetCodes.cancel),
  ]);
  for (const size of [1, 3, 8, 9, 1000, wire.length]) {
    const parts = readInPieces(wire, size);
    const controls = parts.filter((part) => part.kind === 'control');
    assert.deepEqual(
      controls.map((part) => part.type),
      [frameTypes.ping, frameTypes.rstStream],
    );
    assert.equal(controls[0]?.payload.readUInt32BE(0), 7);
    const data = parts.filter((part) => part.kind === 'data');
    assert.deepEqual(Buffer.concat(data.filter((part) => part.streamId === 5).map((part) => part.bytes)), payload);
    assert.deepEqual(
      data.filter((part) => part.fin).map((part) => part.streamId),
      [5, 9],
      `cut by ${size}`,
    );
    assert.equal(data.at(-1)?.fin, true);
  }
});

test('a control frame that is too long, or of another version, ends the connection', () => {
  const refuses = (bytes: Buffer, words: RegExp) =>
    assert.throws(
      () => [...new FrameReader().read(bytes)],
      (error) => isReason(error, 'BadRequest') && words.test(error.message),
    );
  refuses(Buffer.from([0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]), /16777215 bytes/);
  refuses(Buffer.from([0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]), /version 2/);
  refuses(Buffer.from('GET / HTTP/1.1\r\n\r\n').fill(0xff, 0, 1), /bytes/);
});

test('a data frame of 16 MiB is handed on as it arrives, not gathered', () => {
  const header = dataFrame(1, Buffer.alloc(0));
  header.writeUInt32BE(0xffffff, 4);
  const reader = new FrameReader();
  assert.deepEqual([...reader.read(header)], []);
  const [part] = [...reader.read(Buffer.from('piece'))];
  assert.deepEqual(part, { kind: 'data', streamId: 1, bytes: Buffer.from('piece'), fin: false });
});
