import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { missingPackages, packagesFor } from './packages.ts';

const namesOf = (osRelease: string) => {
  const { runtime, test: forTests } = packagesFor(osRelease);
  return [...runtime, ...forTests].map(({ name }) => name);
};

test('each distribution gets what it has under its own name, and what derives from Ubuntu gets what Ubuntu does', () => {
  const common = namesOf('');
  const own = (osRelease: string) => namesOf(osRelease).filter((name) => !common.includes(name));
  const debian = 'PRETTY_NAME="Debian GNU/Linux"\nID=debian\n';
  assert.deepEqual(own(`${debian}VERSION_ID="12"\n`), ['librust-libc-dev', 'librust-serde-json-dev']);
  assert.deepEqual(own(`${debian}VERSION_ID="13"\n`), []);
  for (const version of ['22.04', '24.04'])
    assert.deepEqual(own(`NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="${version}"\n`), [
      'zstd',
      'debian-archive-keyring',
    ]);
  assert.deepEqual(own('ID=linuxmint\nID_LIKE="ubuntu debian"\n'), ['zstd', 'debian-archive-keyring']);
});

test('a package is missing when what it brings is not there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-packages-'));
  const need = (name: string) => ({ name, reason: 'a test', probe: join(directory, name) });
  await writeFile(join(directory, 'here'), '');
  assert.deepEqual(await missingPackages([need('here'), need('gone')]), [need('gone')]);
  await rm(directory, { recursive: true });
});
