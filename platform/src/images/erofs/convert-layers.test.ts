import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type ReadNode, readErofs } from '../../../test/fixtures/images/erofs-reader.ts';
import { type LayerEntry, layerTar } from '../../../test/fixtures/images/layer.ts';
import { digestOf } from '../../../test/fixtures/images/memory-registry.ts';
import { type ConvertLimits, convertLayers } from './convert-layers.ts';

interface Given {
  tars: Buffer[];
  compress?: (tar: Buffer) => Buffer;
  limits?: ConvertLimits;
  diffIds?: string[];
}

async function convertTars({ tars, compress = (tar) => tar, limits, diffIds }: Given): Promise<Map<string, ReadNode>> {
  const directory = await mkdtemp(join(tmpdir(), 'convert-'));
  try {
    const layers = await Promise.all(
      tars.map(async (tar, i) => {
        const path = join(directory, `layer-${i}`);
        await writeFile(path, compress(tar));
        return { path, digest: `layer-${i}`, diffId: diffIds?.[i] ?? digestOf(tar) };
      }),
    );
    const out = join(directory, 'out.erofs');
    await convertLayers({ layers, out, uuid: Buffer.alloc(16), ...(limits ? { limits } : {}) });
    return readErofs(out);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const convert = async (...layers: LayerEntry[][]) => convertTars({ tars: await Promise.all(layers.map(layerTar)) });

const file = (name: string, content = name): LayerEntry => ({ name, content });
const directory = (name: string): LayerEntry => ({ name, type: 'directory' });
const symlink = (name: string, linkname: string): LayerEntry => ({ name, type: 'symlink', linkname });
const hardlink = (name: string, linkname: string): LayerEntry => ({ name, type: 'link', linkname });

const paths = (nodes: Map<string, ReadNode>) => [...nodes.keys()].filter(Boolean).sort();
const contents = (nodes: Map<string, ReadNode>) =>
  Object.fromEntries(
    [...nodes].filter(([, { kind }]) => kind === 'file').map(([path, { content }]) => [path, content]),
  );

describe('an image made of layers', () => {
  it('keeps what tar says of each file', async () => {
    const nodes = await convert([
      { name: 'bin/su', content: 'x', mode: 0o4755, uid: 0, gid: 7, mtime: new Date(1_700_000_123_000) },
      { name: 'home', type: 'directory', mode: 0o1777, uid: 70_000, pax: { gid: '2000000000' } },
      { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
      { name: 'dev/sda', type: 'block-device', devmajor: 259, devminor: 70_000 },
      { name: 'run/pipe', type: 'fifo' },
    ]);
    const su = nodes.get('bin/su')!;
    assert.deepEqual([su.mode, su.uid, su.gid, su.mtimeSeconds, su.content], [0o4755, 0, 7, 1_700_000_123, 'x']);
    const home = nodes.get('home')!;
    assert.deepEqual([home.kind, home.mode, home.uid, home.gid], ['directory', 0o1777, 70_000, 2_000_000_000]);
    assert.deepEqual(nodes.get('dev/null')?.device, { major: 1, minor: 3 });
    assert.deepEqual(nodes.get('dev/sda')?.device, { major: 259, minor: 70_000 });
    assert.equal(nodes.get('run/pipe')?.kind, 'fifo');
    assert.equal(nodes.get('bin')?.mode, 0o755);
  });

  it('keeps file capabilities and user attributes, but not those that steer an overlay', async () => {
    const pax = {
      'SCHILY.xattr.security.capability': '\x01\x00\x00\x02\x00\x04',
      'SCHILY.xattr.user.note': 'hello',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'SCHILY.xattr.user.overlay.redirect': '/etc',
    };
    const nodes = await convert([{ name: 'ping', content: 'x', pax }]);
    assert.deepEqual(nodes.get('ping')?.xattrs, {
      'security.capability': '\x01\x00\x00\x02\x00\x04',
      'user.note': 'hello',
    });
  });

  it('keeps contents of every size around the edges of blocks', async () => {
    const sizes = [0, 1, 1023, 1024, 1025, 4031, 4032, 4033, 4095, 4096, 4097, 8192, 100_000, 3_000_000];
    const text = (size: number) => Buffer.alloc(size, `size ${size};`).toString('latin1');
    const nodes = await convert(sizes.map((size) => file(`f${size}`, text(size))));
    for (const size of sizes) assert.ok(nodes.get(`f${size}`)?.content === text(size), `content of ${size} bytes`);
  });

  it('keeps directories of many names, long names and names that are not UTF-8', async () => {
    const names = Array.from({ length: 3000 }, (_, i) => `many/${String(i).padStart(5, '0')}-${'n'.repeat(i % 200)}`);
    const long = `${'d'.repeat(255)}/${'e'.repeat(255)}/${'f'.repeat(255)}`;
    const tar = await layerTar([
      ...names.map((name) => file(name, 'x')),
      file(long, 'deep'),
      file('latin-QQ', 'bytes'),
    ]);
    const at = tar.indexOf('latin-QQ');
    // Another byte in a name needs another sum in its header.
    tar.writeUInt8(0xff, at + 6);
    tar.write(
      `${(Number.parseInt(tar.toString('latin1', at + 148, at + 154), 8) + 0xff - 'Q'.charCodeAt(0)).toString(8).padStart(6, '0')}\0 `,
      at + 148,
    );
    const nodes = await convertTars({ tars: [tar] });
    assert.equal(paths(nodes).filter((path) => path.startsWith('many/')).length, 3000);
    assert.equal(nodes.get(long)?.content, 'deep');
    assert.equal(nodes.get('latin-\xffQ')?.content, 'bytes');
  });

  it('keeps hard links as one file, also with a file of a lower layer', async () => {
    const nodes = await convert([file('a', 'same'), hardlink('b', 'a')], [hardlink('dir/c', 'a'), file('a', 'other')]);
    assert.deepEqual(contents(nodes), { a: 'other', b: 'same', 'dir/c': 'same' });
    assert.equal(nodes.get('b')?.nid, nodes.get('dir/c')?.nid);
    assert.equal(nodes.get('b')?.links, 2);
    assert.equal(nodes.get('a')?.links, 1);
  });

  it("counts a directory's links as file systems do", async () => {
    const nodes = await convert([directory('a'), directory('a/b'), directory('a/c'), file('a/d')]);
    assert.equal(nodes.get('a')?.links, 4);
    assert.equal(nodes.get('a/b')?.links, 2);
  });

  it('of no layer at all is an empty directory', async () => {
    assert.deepEqual(paths(await convert()), []);
  });
});

describe('laying layers over one another', () => {
  it('hides what a whiteout names, in lower layers only', async () => {
    const nodes = await convert(
      [file('a'), file('d/x'), file('d/y')],
      [file('b'), file('.wh.a', ''), file('a', 'new'), file('d/.wh.x', '')],
    );
    assert.deepEqual(contents(nodes), { a: 'new', b: 'b', 'd/y': 'd/y' });
  });

  it('hides a whole directory below an opaque one, wherever the mark stands', async () => {
    const lower = [file('d/old'), file('d/sub/old'), file('keep')];
    const mark = file('d/.wh..wh..opq', '');
    for (const upper of [
      [mark, file('d/sub/new')],
      [file('d/sub/new'), mark],
    ]) {
      assert.deepEqual(contents(await convert(lower, upper)), { 'd/sub/new': 'd/sub/new', keep: 'keep' });
    }
  });

  it("puts a directory in a file's place and a file in a directory's", async () => {
    const nodes = await convert([file('a'), file('b/c')], [directory('a'), file('a/x'), file('b')]);
    assert.deepEqual(contents(nodes), { 'a/x': 'a/x', b: 'b' });
  });

  it("keeps a directory's files when an upper layer only changes its mode", async () => {
    const nodes = await convert([file('d/x')], [{ name: 'd', type: 'directory', mode: 0o700 }]);
    assert.equal(nodes.get('d')?.mode, 0o700);
    assert.equal(nodes.get('d/x')?.content, 'd/x');
  });

  it('follows a symlinked parent inside the image, as unpackers do', async () => {
    const nodes = await convert(
      [directory('usr/lib'), symlink('lib', 'usr/lib'), symlink('abs', '/usr')],
      [file('lib/x'), file('abs/lib/y')],
    );
    assert.equal(nodes.get('lib')?.kind, 'symlink');
    assert.deepEqual(contents(nodes), { 'usr/lib/x': 'lib/x', 'usr/lib/y': 'abs/lib/y' });
  });

  it('reuses the place of replaced files, so that a replaced layer takes no room twice', async () => {
    const big = (name: string, filler: string) => file(name, filler.repeat(400_000));
    const tars = await Promise.all(
      [
        [big('a', 'x'), big('b', 'x')],
        [big('a', 'y'), big('b', 'z')],
      ].map(layerTar),
    );
    const nodes = await convertTars({ tars });
    assert.deepEqual([nodes.get('a')?.content?.[0], nodes.get('b')?.content?.[399_999]], ['y', 'z']);
  });

  it('agrees with a plain model on random layers', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const layers = randomLayers(seed);
      const nodes = await convert(...layers.map(({ entries }) => entries));
      assert.deepEqual(contents(nodes), modelOf(layers), `seed ${seed}`);
    }
  });
});

describe('a hostile or broken layer is Invalid', () => {
  const hostile: [string, LayerEntry[]][] = [
    ['a name with ".."', [file('../../etc/passwd')]],
    ['".." in the middle of a name', [file('a/../../b')]],
    ['a hard link out of the image', [hardlink('a', '../../etc/shadow')]],
    ['a hard link to nothing', [hardlink('a', 'missing')]],
    ['a hard link to a directory', [directory('d'), hardlink('a', 'd')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['symlinks in a circle', [symlink('a', 'b'), symlink('b', 'a'), file('a/x')]],
    ['the root as a file', [file('.')]],
    ['a path deeper than any program makes', [file(`${'d/'.repeat(300)}x`)]],
    ['a name longer than Linux has', [file('n'.repeat(256))]],
  ];
  for (const [what, entries] of hostile) {
    it(what, async () => {
      await assert.rejects(convert(entries), { reason: 'Invalid', message: /^layer layer-0: entry "/ });
    });
  }

  it('a symlink never leads out of the image', async () => {
    const nodes = await convert([
      symlink('out', '../../../../tmp'),
      symlink('abs', '/etc'),
      file('out/x'),
      file('abs/y'),
    ]);
    assert.deepEqual(contents(nodes), { 'tmp/x': 'out/x', 'etc/y': 'abs/y' });
  });

  it("an absolute name means the image's root", async () => {
    assert.deepEqual(contents(await convert([file('/etc/x', 'in')])), { 'etc/x': 'in' });
  });

  it('a layer whose content is not what the config says', async () => {
    const tars = [await layerTar([file('a')])];
    const diffIds = [`sha256:${'0'.repeat(64)}`];
    await assert.rejects(convertTars({ tars, diffIds }), { reason: 'Invalid', message: /the image's config says/ });
  });

  it('a decompression bomb stops at the limit', async () => {
    const tars = [await layerTar([{ name: 'zeros', content: Buffer.alloc(8 << 20) }])];
    const limits = { maxUncompressedBytes: 2 ** 30, maxRatio: 10, ratioFreeBytes: 1 << 20 };
    for (const compress of [gzipSync, (tar: Buffer) => zstdCompressSync(tar)]) {
      await assert.rejects(convertTars({ tars, compress, limits }), { reason: 'Invalid', message: /grows beyond/ });
    }
    const small = { maxUncompressedBytes: 1 << 20, maxRatio: 1e9, ratioFreeBytes: 2 ** 30 };
    await assert.rejects(convertTars({ tars, limits: small }), { reason: 'Invalid' });
  });

  it('a layer cut short, plain or compressed', async () => {
    const tars = [await layerTar([file('a', 'x'.repeat(100_000))])];
    const half = (data: Buffer) => data.subarray(0, data.length / 2);
    for (const compress of [half, (tar: Buffer) => half(gzipSync(tar)), (tar: Buffer) => half(zstdCompressSync(tar))]) {
      await assert.rejects(convertTars({ tars, compress }), { reason: 'Invalid' });
    }
  });

  it('noise instead of a tar', async () => {
    const noise = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) & 0xff));
    await assert.rejects(convertTars({ tars: [noise] }), { reason: 'Invalid', message: /broken tar/ });
  });
});

describe('compression is told by content', () => {
  it('plain, gzip (several members too) and zstd (several frames too) give the same image', async () => {
    const tars = [await layerTar([file('a', 'x'.repeat(200_000)), file('b')])];
    const plain = await convertTars({ tars });
    const halves = (tar: Buffer) => [tar.subarray(0, 70_001), tar.subarray(70_001)];
    const ways: ((tar: Buffer) => Buffer)[] = [
      gzipSync,
      (tar) => zstdCompressSync(tar),
      (tar) => Buffer.concat(halves(tar).map((half) => gzipSync(half))),
      (tar) => Buffer.concat(halves(tar).map((half) => zstdCompressSync(half))),
    ];
    for (const compress of ways) assert.deepEqual(await convertTars({ tars, compress }), plain);
  });
});

/** A small tree: a string is a file's content, an object a directory. */
interface Tree {
  [name: string]: string | Tree;
}
interface RandomLayer {
  entries: LayerEntry[];
  tree: Tree;
  /** Paths below which lower layers are hidden, and paths hidden themselves. */
  opaque: string[];
  whiteouts: string[];
}

function randomLayers(seed: number): RandomLayer[] {
  let state = seed * 2654435761;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const layers: RandomLayer[] = [];
  for (let layer = 0; layer < 4; layer++) {
    const made: RandomLayer = { entries: [], tree: {}, opaque: [], whiteouts: [] };
    const fill = (tree: Tree, at: string, depth: number) => {
      const marks: LayerEntry[] = [];
      if (layer > 0 && random(5) === 0) {
        made.opaque.push(at);
        marks.push(file(`${at}.wh..wh..opq`, ''));
      }
      for (const name of ['a', 'b', 'c', 'd']) {
        const choice = random(depth > 2 ? 6 : 9);
        if (layer > 0 && random(5) === 0) {
          made.whiteouts.push(at + name);
          marks.push(file(`${at}.wh.${name}`, ''));
        }
        if (choice >= 6) {
          const below: Tree = {};
          tree[name] = below;
          made.entries.push(directory(at + name));
          fill(below, `${at}${name}/`, depth + 1);
        } else if (choice >= 3) {
          const content = `${layer}:${at}${name}:`.repeat(1 + random(400));
          tree[name] = content;
          made.entries.push(file(at + name, content));
        }
      }
      for (const mark of marks) made.entries.splice(made.entries.length - random(2), 0, mark);
    };
    fill(made.tree, '', 0);
    layers.push(made);
  }
  return layers;
}

/** Layer by layer: first everything the marks hide goes, then everything the layer has comes. */
function modelOf(layers: RandomLayer[]): Record<string, string> {
  const merged: Tree = {};
  for (const { tree, opaque, whiteouts } of layers) {
    for (const path of whiteouts) removeAt(merged, path.split('/'));
    for (const path of opaque) emptyAt(merged, path.split('/').filter(Boolean));
    merge(merged, tree);
  }
  const flat: Record<string, string> = {};
  const flatten = (tree: Tree, at: string) => {
    for (const [name, value] of Object.entries(tree)) {
      if (typeof value === 'string') flat[at + name] = value;
      else flatten(value, `${at}${name}/`);
    }
  };
  flatten(merged, '');
  return flat;
}

function treeAt(tree: Tree, parts: string[]): Tree | undefined {
  let here: string | Tree | undefined = tree;
  for (const part of parts) here = typeof here === 'object' ? here[part] : undefined;
  return typeof here === 'object' ? here : undefined;
}

function removeAt(tree: Tree, parts: string[]): void {
  const parent = treeAt(tree, parts.slice(0, -1));
  if (parent) delete parent[parts.at(-1)!];
}

function emptyAt(tree: Tree, parts: string[]): void {
  const found = treeAt(tree, parts);
  for (const name of Object.keys(found ?? {})) delete found![name];
}

function merge(into: Tree, from: Tree): void {
  for (const [name, value] of Object.entries(from)) {
    const existing = into[name];
    if (typeof value === 'object' && typeof existing === 'object') merge(existing, value);
    else into[name] = typeof value === 'object' ? structuredClone(value) : value;
  }
}
