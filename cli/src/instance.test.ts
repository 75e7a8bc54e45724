import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { currentInstance, runningServer } from './instance.ts';

test('an address the server could not listen on is refused before it is started', () => {
  for (const SAMPAN_LISTEN of ['127.0.0.1:6443', ':7440', '[::1]:7440', 'localhost:0', ''])
    assert.equal(currentInstance({ SAMPAN_LISTEN }).listen, SAMPAN_LISTEN || '127.0.0.1:6443');
  for (const SAMPAN_LISTEN of ['7440', 'host:port', '127.0.0.1:99999', '::1:x'])
    assert.throws(() => currentInstance({ SAMPAN_LISTEN }), { mend: /127\.0\.0\.1:6443/ });
});

test('a cache in which the guest could not be built is refused at once', () => {
  assert.throws(() => currentInstance({ SAMPAN_CACHE: '/srv/my cache' }), { why: /no path with blanks/ });
  assert.equal(currentInstance({ SAMPAN_CACHE: '/srv/cache', SAMPAN_HOME: '/srv/my home' }).home, '/srv/my home');
});

test('a file of a server that has gone counts for none', async () => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-cli-home-'));
  const instance = { home, cache: home, listen: '', root: '' };
  try {
    assert.equal(await runningServer(instance), undefined);
    await writeFile(join(home, 'server.json'), '{"pid": 1}');
    assert.equal(await runningServer(instance), undefined);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

const canBeNobody = process.getuid?.() === 0;
test('who may not look into a home is told so, not that nothing runs', {
  skip: !canBeNobody && 'needs root to be another',
}, async () => {
  const home = await mkdtemp(join(tmpdir(), 'sampan-cli-home-'));
  try {
    await writeFile(join(home, 'server.json'), '{}');
    await chmod(home, 0o700);
    process.seteuid?.(65534);
    await assert.rejects(runningServer({ home, cache: home, listen: '', root: '' }), { mend: /sudo/ });
  } finally {
    process.seteuid?.(0);
    await rm(home, { recursive: true, force: true });
  }
});
