import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { constants, createDeflate, createInflate, deflateSync } from 'node:zlib';
import { isReason } from '@sampan/api/errors.ts';
import { headerDictionary } from './dictionary.ts';
import { formatHeaders, HeaderReader, HeaderWriter, parseHeaders } from './headers.ts';

/** What a real client sends: one deflate stream, flushed after each block. */
function newCompressor() {
  const deflate = createDeflate({ dictionary: headerDictionary });
  return async (headers: [string, string][]): Promise<Buffer> => {
    deflate.write(formatHeaders(headers));
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    return deflate.read() as Buffer;
  };
}

test('the dictionary is SPDY/3’s', () => {
  assert.equal(headerDictionary.length, 1423);
  assert.equal(deflateSync('x', { dictionary: headerDictionary }).readUInt32BE(2), 0xe3c6a7c2);
});

test('blocks of one compressed stream are read one after the other', async () => {
  const compress = newCompressor();
  const reader = new HeaderReader();
  for (const type of ['error', 'stdin', 'stdout']) {
    const headers = await reader.read(
      await compress([
        ['streamtype', type],
        ['port', '80'],
      ]),
    );
    assert.deepEqual(
      [...headers],
      [
        ['streamtype', type],
        ['port', '80'],
      ],
    );
  }
  assert.deepEqual([...(await reader.read(await compress([])))], []);
  reader.close();
});

test('what we write is read by zlib with the dictionary, block by block', async () => {
  const writer = new HeaderWriter();
  const inflate = createInflate({ dictionary: headerDictionary });
  for (const headers of [
    [],
    [['a', 'b']],
    [
      ['version', 'HTTP/1.1'],
      ['x', ''],
    ],
  ] as [string, string][][]) {
    inflate.write(writer.write(headers));
    const [block] = (await once(inflate, 'data')) as [Buffer];
    assert.deepEqual([...parseHeaders(block)], headers);
  }
  inflate.destroy();
});

test('garbage, and blocks that inflate without end, are refused', async () => {
  const refuses = (block: Buffer) =>
    assert.rejects(new HeaderReader().read(block), (error) => isReason(error, 'BadRequest'));
  await refuses(Buffer.from('this is no zlib stream'));
  await refuses(deflateSync(Buffer.alloc(8 << 20), { dictionary: headerDictionary }));
  const compress = newCompressor();
  await refuses(await compress(Array.from({ length: 65 }, (_, index) => [`h${index}`, ''])));
});

test('lengths that point outside the block are refused', () => {
  const refuses = (bytes: number[]) =>
    assert.throws(
      () => parseHeaders(Buffer.from(bytes)),
      (error) => isReason(error, 'BadRequest'),
    );
  refuses([]);
  refuses([0, 0, 0, 1]);
  refuses([0, 0, 0, 1, 0, 0, 0, 9, 97]);
  refuses([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 97]);
});
