import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkProgram } from './find-program.ts';

let rootfs: string;

before(async () => {
  rootfs = await mkdtemp(join(tmpdir(), 'sampan-program-'));
  await mkdir(join(rootfs, 'usr/bin'), { recursive: true });
  await writeFile(join(rootfs, 'usr/bin/here'), '');
  await symlink('usr/bin', join(rootfs, 'bin'));
  await symlink('/usr/bin/here', join(rootfs, 'usr/bin/alias'));
  await symlink('../../../../usr/bin/here', join(rootfs, 'usr/bin/above'));
  await symlink('/etc/hostname', join(rootfs, 'usr/bin/outside'));
  await symlink('round', join(rootfs, 'usr/bin/round'));
});

after(() => rm(rootfs, { recursive: true, force: true }));

const usual = { env: ['PATH=/sbin:/bin'], cwd: '/', mounts: [] as string[], hooks: {} };
const check = (name: string, more: Partial<typeof usual> = {}) => {
  const { env, cwd, hooks, ...rest } = { ...usual, ...more };
  const mounts = rest.mounts.map((destination) => ({ destination }));
  checkProgram({ process: { args: [name], env, cwd }, mounts, hooks }, rootfs);
};

test('a program is found by its name or its path, through links that stay inside the root', () => {
  for (const name of ['here', 'alias', 'above', '/bin/here', '/usr/bin/../bin/here'])
    assert.doesNotThrow(() => check(name));
  assert.doesNotThrow(() => check('./here', { cwd: '/bin' }));
  assert.doesNotThrow(() => check('here', { env: ['PATH='], cwd: '/usr/bin' }));
});

test('one that is surely not there is refused in the words that engines know', () => {
  const words = {
    reason: 'NotFound',
    message: /^executable file `\S+` not found in \$PATH: No such file or directory$/,
  };
  for (const name of ['nowhere', 'outside', '/bin/nowhere', '/here', './here', '/bin/here/below'])
    assert.throws(() => check(name), words);
  assert.throws(() => check('here', { env: ['PATH=/bin', 'PATH=/sbin'] }), words);
});

test('what may be there is left to the machine: below mounts, without a search path, links in a circle, by a hook', () => {
  assert.doesNotThrow(() => check('nowhere', { mounts: ['/sbin/'] }));
  assert.doesNotThrow(() => check('/usr/bin/nowhere', { mounts: ['/usr'] }));
  assert.doesNotThrow(() => check('/bin/nowhere', { mounts: ['/usr/bin'] }));
  assert.doesNotThrow(() => check('nowhere', { env: [] }));
  assert.doesNotThrow(() => check('/bin/round'));
  assert.doesNotThrow(() => check('nowhere', { hooks: { createRuntime: [{ path: '/bin/true' }] } }));
});
