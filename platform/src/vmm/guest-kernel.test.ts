/** guest/kernel.sh against what Debian and Ubuntu say of themselves and trees shaped like their kernel packages. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { zstdCompressSync } from 'node:zlib';

const run = promisify(execFile);
const script = resolve(import.meta.dirname, '../../../guest/kernel.sh');
let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-guest-kernel-'));
});
after(() => rm(directory, { recursive: true, force: true }));

type Failed = Error & { code: number; stderr: string };

async function kernel(...args: string[]): Promise<string> {
  const path = `${join(directory, 'bin')}:${process.env.PATH}`;
  return (await run('sh', [script, ...args], { env: { ...process.env, PATH: path } })).stdout;
}

async function file(path: string, content: string | Uint8Array): Promise<string> {
  const full = join(directory, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, content);
  return full;
}

describe('the metapackage', () => {
  const metapackage = async (osRelease: string) => (await kernel('metapackage', await file('os', osRelease))).trim();

  test('is the cloud kernel on Debian and the virtual one on Ubuntu, whatever their version', async () => {
    assert.match(await metapackage('ID=debian\nVERSION_ID="12"\n'), /^linux-image-cloud-(amd64|arm64)$/);
    for (const version of ['22.04', '24.04'])
      assert.equal(
        await metapackage(`NAME="Ubuntu"\nVERSION_ID="${version}"\nID=ubuntu\nID_LIKE=debian\n`),
        'linux-image-virtual',
      );
  });

  test('is that of the family where the distribution has another name', async () => {
    assert.equal(await metapackage('ID=linuxmint\nID_LIKE="ubuntu debian"\n'), 'linux-image-virtual');
    assert.match(await metapackage('ID=devuan\nID_LIKE=debian\n'), /^linux-image-cloud-/);
  });

  test('is refused by name on any other distribution', async () => {
    const isNamed = (error: Failed) => /Debian or Ubuntu.*fedora/.test(error.stderr);
    await assert.rejects(metapackage('ID=fedora\n'), isNamed);
  });
});

test('the packages are those that apt names: Ubuntu keeps modules apart, and some of them in a third package', async () => {
  const apt = await file(
    'bin/apt-cache',
    `#!/bin/sh
case "$1 $2" in
  'depends linux-image-virtual') echo 'linux-image-virtual'; echo '  Depends: linux-image-6.8.0-31-generic' ;;
  'depends linux-image-6.8.0-31-generic') printf '  PreDepends: dpkg\\n  Depends: kmod\\n  Depends: linux-modules-6.8.0-31-generic\\n' ;;
  'depends linux-image-cloud-amd64') echo '  Depends: linux-image-6.1.0-35-cloud-amd64' ;;
  'depends linux-image-6.1.0-35-cloud-amd64') printf '  Depends: kmod\\n |Depends: initramfs-tools\\n' ;;
  'show linux-modules-extra-6.8.0-31-generic') ;;
  *) exit 100 ;;
esac
`,
  );
  await chmod(apt, 0o755);
  assert.equal(
    await kernel('packages', 'linux-image-virtual'),
    'linux-image-6.8.0-31-generic\nlinux-modules-6.8.0-31-generic\n',
  );
  assert.equal(await kernel('packages', 'linux-image-cloud-amd64'), 'linux-image-6.1.0-35-cloud-amd64\n');
  await assert.rejects(kernel('packages', 'linux-image-unheard-of'));
  assert.equal(await kernel('extra', 'linux-image-6.8.0-31-generic'), 'linux-modules-extra-6.8.0-31-generic\n');
  assert.equal(await kernel('extra', 'linux-image-6.1.0-35-cloud-amd64'), '');
});

/** A kernel module as depmod reads it: what it exports, and what it calls of others. */
async function moduleFile(name: string, { exports = '', calls = '' }): Promise<Buffer> {
  const source = await file(
    `source/${name}.c`,
    [
      `const char info[] __attribute__((section(".modinfo"), used)) = "name=${name}";`,
      exports && `const char names[] __attribute__((section("__ksymtab_strings"), used)) = "${exports}";`,
      exports && `void ${exports}(void) {}`,
      calls && `extern void ${calls}(void); void init_module(void) { ${calls}(); }`,
    ].join('\n'),
  );
  const object = source.replace(/c$/, 'ko');
  await run('cc', ['-c', '-o', object, source]);
  return readFile(object);
}

async function collect(tree: string, wanted: string) {
  const out = join(directory, 'out');
  await rm(out, { recursive: true, force: true });
  await kernel('collect', join(directory, tree), await file('wanted', `# drivers\n${wanted}`), out);
  const order = (await readFile(join(out, 'modules/order'), 'utf8')).split('\n').filter(Boolean);
  return { out, order, files: (await readdir(join(out, 'modules'))).sort() };
}

describe('collecting from unpacked packages', () => {
  test('Ubuntu: built-in drivers are left out, compressed modules come plain and after what they need', async () => {
    const release = '6.8.0-31-generic';
    const modules = `ubuntu/lib/modules/${release}`;
    const crc = await moduleFile('libcrc32c', { exports: 'crc32c' });
    const erofs = await moduleFile('erofs', { calls: 'crc32c' });
    const image = await file(`ubuntu/boot/vmlinuz-${release}`, 'kernel');
    await chmod(image, 0o600);
    await file(`${modules}/modules.builtin`, 'kernel/drivers/virtio/virtio_mmio.ko\n');
    await file(`${modules}/modules.order`, '');
    await file(`${modules}/kernel/lib/libcrc32c.ko.zst`, zstdCompressSync(crc));
    await assert.rejects(collect('ubuntu', 'virtio_mmio\nerofs\n'), (error: Failed) => {
      return error.code === 3 && error.stderr.includes('module erofs is not in kernel 6.8.0-31-generic');
    });
    await file(`${modules}/kernel/fs/erofs/erofs.ko.zst`, zstdCompressSync(erofs));
    const { out, order, files } = await collect('ubuntu', 'virtio_mmio\nerofs\n');
    assert.deepEqual(order, ['libcrc32c.ko', 'erofs.ko']);
    assert.deepEqual(files, ['erofs.ko', 'libcrc32c.ko', 'order']);
    assert.deepEqual(await readFile(join(out, 'modules/erofs.ko')), erofs);
    assert.equal(await readFile(join(out, 'vmlinuz'), 'utf8'), 'kernel');
    assert.equal((await stat(join(out, 'vmlinuz'))).mode & 0o777, 0o644);
  });

  test('Debian: plain modules, wherever below / or /usr the package has them', async () => {
    for (const [tree, root] of [
      ['debian12', 'lib'],
      ['debian13', 'usr/lib'],
    ]) {
      const modules = `${tree}/${root}/modules/6.1.0-cloud-amd64`;
      await file(`${tree}/boot/vmlinuz-6.1.0-cloud-amd64`, 'kernel');
      await file(`${modules}/modules.builtin`, '');
      await file(`${modules}/modules.order`, '');
      await file(`${modules}/kernel/overlay.ko`, await moduleFile('overlay', {}));
      assert.deepEqual((await collect(tree!, 'overlay\n')).order, ['overlay.ko']);
    }
  });

  test('all drivers built in: nothing to load is no fault', async () => {
    await file('whole/boot/vmlinuz-6.8.0-1-kvm', 'kernel');
    await file('whole/lib/modules/6.8.0-1-kvm/modules.builtin', 'kernel/fs/erofs/erofs.ko\n');
    await file('whole/lib/modules/6.8.0-1-kvm/modules.order', '');
    assert.deepEqual((await collect('whole', 'erofs\n')).order, []);
  });
});
