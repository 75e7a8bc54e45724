import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRecord, encodeRecord } from './record-json.ts';

test('64-bit numbers and bytes survive', () => {
  const value = {
    big: 2n ** 63n,
    bytes: new Uint8Array([0, 255, 10]),
    list: [1n, { deep: 0n }],
    text: 'plain',
    none: null,
  };
  assert.deepEqual(decodeRecord(encodeRecord(value)), value);
});

test('a Buffer comes back as bytes', () => {
  assert.deepEqual(decodeRecord(encodeRecord({ data: Buffer.from('ab') })), { data: new Uint8Array([97, 98]) });
});

test('a torn text is an error', () => {
  assert.throws(() => decodeRecord('{"id": "x'), SyntaxError);
});
