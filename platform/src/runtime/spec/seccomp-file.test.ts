import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as cri from '../generated/cri.ts';
import { localhostSeccomp } from './seccomp-file.ts';

const { Localhost, RuntimeDefault } = cri.SecurityProfile_ProfileType;

test('a Localhost profile is read from its absolute path, whole and bounded', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-seccomp-'));
  const at = (localhostRef: string) => localhostSeccomp({ seccomp: { profileType: Localhost, localhostRef } });
  try {
    const path = join(directory, 'p.json');
    await writeFile(path, '{"é": 1}');
    assert.equal(await at(path), '{"é": 1}');
    await writeFile(path, 'x'.repeat(256 * 1024 + 1));
    await assert.rejects(at(path), { reason: 'Invalid', message: /over 256 KiB/ });
    await assert.rejects(at(directory), { reason: 'Invalid', message: /is no file/ });
    await assert.rejects(at(join(directory, 'none')), { reason: 'NotFound', message: /none cannot be read: ENOENT/ });
    await assert.rejects(at('p.json'), { reason: 'Invalid', message: /absolute/ });
    await assert.rejects(at(`${path}\0`), { reason: 'Invalid' });
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    await assert.rejects(at(join(directory, 'pipe')), { reason: 'Invalid', message: /is no file/ });
    await assert.rejects(at('/dev/zero'), { reason: 'Invalid', message: /is no file/ });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('nothing is read for other profiles, nor for a privileged container, which runs unconfined', async () => {
  const nowhere = { profileType: Localhost, localhostRef: '/none/such' };
  assert.equal(await localhostSeccomp(undefined), undefined);
  assert.equal(await localhostSeccomp({ seccomp: { ...nowhere, profileType: RuntimeDefault } }), undefined);
  assert.equal(await localhostSeccomp({ seccomp: nowhere, privileged: true }), undefined);
});
