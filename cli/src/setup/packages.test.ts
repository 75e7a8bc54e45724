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

test('Ubuntu and what derives from it get the packages that Debian does without', () => {
  const debian = namesOf('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n');
  const ubuntu = namesOf('PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n');
  assert.deepEqual(
    ubuntu.filter((name) => !debian.includes(name)),
    ['zstd', 'debian-archive-keyring'],
  );
  assert.deepEqual(namesOf('ID=linuxmint\nID_LIKE="ubuntu debian"\n'), ubuntu);
  assert.deepEqual(namesOf(''), debian);
});

test('a package is missing when what it brings is not there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-packages-'));
  const need = (name: string) => ({ name, reason: 'a test', probe: join(directory, name) });
  await writeFile(join(directory, 'here'), '');
  assert.deepEqual(await missingPackages([need('here'), need('gone')]), [need('gone')]);
  await rm(directory, { recursive: true });
});
