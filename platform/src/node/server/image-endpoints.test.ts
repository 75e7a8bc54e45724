import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { ImageStore } from '../../images/images.ts';
import { createImageEndpoints } from './image-endpoints.ts';

const none = {} as ImageStore;

test('what a server that was killed had received of an archive is gone at the next start', async () => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-uploads-'));
  try {
    const uploads = join(home, 'uploads');
    await mkdir(uploads);
    await writeFile(join(uploads, '0123456789abcdef.tar'), 'half of it');
    await createImageEndpoints(none, uploads);
    assert.deepEqual(await readdir(home), []);
  } finally {
    await rm(home, { recursive: true });
  }
});

test('a request to pull that is no JSON, or says no image, is refused as the caller’s fault', async () => {
  const { handle } = await createImageEndpoints(none, join(tmpdir(), 'sampan-no-uploads'));
  for (const body of ['{', '{}', 'null']) {
    const request = Object.assign(Readable.from([Buffer.from(body)]), { method: 'POST' }) as unknown as IncomingMessage;
    const pulled = handle(request, {} as ServerResponse, new URL('http://node/images/pull'));
    await assert.rejects(pulled, { reason: 'BadRequest', message: /^the body is no pull request: / }, body);
  }
});
