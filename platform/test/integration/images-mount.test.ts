/** What Linux sees in our block images, against what umoci unpacks from the same layers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it, type TestContext } from 'node:test';
import { run } from '../../src/base/child.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createErofsImageStore } from '../../src/images/erofs/erofs-image-store.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { type LayerEntry, layerTar } from '../fixtures/images/layer.ts';
import { mountErofs, whyNoMounts } from '../fixtures/images/mount.ts';
import { writeTestArchive } from '../fixtures/images/test-archive.ts';

let directory: string;
let noMounts: string | undefined;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'images-mount-'));
  noMounts = await whyNoMounts();
});
after(() => rm(directory, { recursive: true, force: true }));

const file = (name: string, content = name): LayerEntry => ({ name, content });
const capability = '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';

const layers: LayerEntry[][] = [
  [
    { name: 'bin', type: 'directory' },
    { name: 'bin/su', content: 'su', mode: 0o4755 },
    { name: 'bin/ping', content: 'ping', mode: 0o755, pax: { 'SCHILY.xattr.security.capability': capability } },
    { name: 'bin/su2', type: 'link', linkname: 'bin/su' },
    { name: 'tmp', type: 'directory', mode: 0o1777 },
    { name: 'gone', type: 'directory' },
    file('gone/x'),
    { name: 'opaque', type: 'directory', mode: 0o700, uid: 1000, gid: 1000 },
    file('opaque/old'),
    { name: 'usr', type: 'directory' },
    { name: 'usr/lib', type: 'directory' },
    { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
    { name: 'many', type: 'directory' },
    ...Array.from({ length: 500 }, (_, i) => file(`many/${'n'.repeat(100)}-${i}`, 'x'.repeat(i * 37))),
    { name: 'owned', content: 'owned', uid: 100_000, gid: 200_000, mtime: new Date(1_234_567_890_000) },
  ],
  [
    file('.wh.gone', ''),
    { name: 'opaque', type: 'directory', mode: 0o750, uid: 1000, gid: 1001 },
    file('opaque/.wh..wh..opq', ''),
    file('opaque/new'),
    file('lib/added'),
    { name: 'many', type: 'directory', mode: 0o711 },
    file(`many/${'n'.repeat(100)}-7`, 'replaced'),
    file(`many/.wh.${'n'.repeat(100)}-8`, ''),
    { name: 'pipe', type: 'fifo' },
    { name: 'zero', type: 'character-device', devmajor: 1, devminor: 5 },
    { name: 'dangling', type: 'symlink', linkname: '/nowhere/at/all' },
  ],
];

it('a made-up image of every kind of entry looks as umoci unpacks it', async (t) => {
  const archive = join(directory, 'made-up.tar');
  await writeTestArchive(archive, [{ name: 'made/up:1', layers: await Promise.all(layers.map(layerTar)) }]);
  await compare(t, archive);
});

for (const name of ['busybox', 'nginx'] as const) {
  it(`the image ${name} looks as umoci unpacks it, and fsck finds no fault`, async (t) =>
    compare(t, await buildImage(name)));
}

async function compare(t: TestContext, archive: string): Promise<void> {
  if (noMounts) return t.skip(noMounts);
  const work = await mkdtemp(join(directory, 'compare-'));
  const store = await createErofsImageStore({ directory: join(work, 'store'), log: silentLogger });
  const [image] = await store.import(archive);
  await run('fsck.erofs', [image!.blockImagePath]);
  await run('skopeo', ['--insecure-policy', 'copy', '--quiet', `oci-archive:${archive}`, `oci:${work}/layout:x`]);
  await run('umoci', ['unpack', '--image', `${work}/layout:x`, `${work}/bundle`], { timeoutMs: 120_000 });
  await using mounted = await mountErofs(image!.blockImagePath);
  const ours = await describeTree(mounted.path);
  const theirs = await describeTree(join(work, 'bundle/rootfs'));
  assert.ok(ours.length > 10);
  if (archive.endsWith('made-up.tar')) assert.match(ours.at(-1)!, /ping cap_net_bind_service/);
  // Only what differs, or the message would be the whole tree.
  const missingIn = (lines: string[], others: string[]) => lines.filter((line) => !others.includes(line));
  assert.deepEqual(missingIn(ours, theirs), missingIn(theirs, ours));
}

/** A line per path with all that matters, contents as digests. */
async function describeTree(root: string): Promise<string[]> {
  const format = '%P\\t%y\\t%m\\t%U\\t%G\\t%Ts\\t%n\\t%l\\t%s\\t%i\\n';
  const { stdout } = await run('find', [root, '-printf', format], { maxOutputBytes: 64 << 20 });
  /** By inode: hard links are one file. */
  const digests = new Map<string, Promise<string>>();
  const lines = await Promise.all(
    stdout
      .split('\n')
      .filter(Boolean)
      .map(async (line) => {
        const [path = '', type, mode, uid, gid, mtime, links, target, size, inode = ''] = line.split('\t');
        // How long a directory is, how many links it has, and when one was made that no layer mentions, is the file system's business.
        if (type === 'd') return [path, type, mode, uid, gid].join(' ');
        if (type === 'f' && !digests.has(inode)) digests.set(inode, digestOfFile(join(root, path)));
        const digest = (await digests.get(inode)) ?? '';
        return [path, type, mode, uid, gid, mtime, links, target, size, digest].join(' ');
      }),
  );
  return [...lines.sort(), ...(await capabilitiesOf(root))];
}

/** What the kernel makes of the attribute security.capability. */
async function capabilitiesOf(root: string): Promise<string[]> {
  const { stdout } = await run('getcap', ['-r', '.'], { cwd: root });
  return stdout.split('\n').filter(Boolean).sort();
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
