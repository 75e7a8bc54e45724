import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { mock, test } from 'node:test';
import type { Reason } from '@sampan/api/errors.ts';
import { report } from './failure.ts';
import { pulledImage } from './pulled-image.ts';

const progress = { progress: { phase: 'download', doneBytes: 1, totalBytes: 2 } };
const image = { id: 'sha256:1', repoTags: [], repoDigests: [], sizeBytes: 1 };
const line = (value: object) => `${JSON.stringify(value)}\n`;

/** What a server has said, and how it went away. */
async function* said(lines: string[], end?: Error) {
  yield* lines.map((one) => Buffer.from(one));
  if (end) throw end;
}
const pulled = (lines: string[], end?: Error) => pulledImage(Readable.from(said(lines, end)), () => {});

test('a pull gives the image, or what the server says of it', async () => {
  assert.deepEqual(await pulled([line(progress), line({ image })]), image);
  const error = { reason: 'NotFound', message: 'image x does not exist' };
  await assert.rejects(pulled([line(progress), line({ error })]), error);
});

test('a pull that fails is told apart by what the server says of it: the name, the way there, the credentials', async () => {
  const told = async (reason: Reason) => {
    const written = mock.method(process.stderr, 'write', () => true);
    try {
      await pulled([line({ error: { reason, message: 'x' } })]).catch(report);
      return written.mock.calls.map(({ arguments: [text] }) => text).join('');
    } finally {
      written.mock.restore();
    }
  };
  assert.match(await told('NotFound'), /^sampan: NotFound: x\n {2}mend: .*the tag/);
  assert.match(await told('ServiceUnavailable'), /network of this host/);
  assert.match(await told('Unauthorized'), /--user NAME/);
  assert.equal(await told('Invalid'), 'sampan: Invalid: x\n');
});

test('of a server that goes away while it pulls it is said so, and what to do', async () => {
  const aborted = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  const words = { message: 'the connection was lost', why: /the server ended while it pulled/, mend: /try again/ };
  await assert.rejects(pulled([line(progress)], aborted), words);
  await assert.rejects(pulled([line(progress), '{"progress":{"ph'], aborted), words);
  await assert.rejects(pulled([line(progress)]), words);
});
