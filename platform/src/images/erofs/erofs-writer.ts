/**
 * Writes one EROFS image in a single pass over the layers: contents go to the data area as they stream in, the metadata follows when the tree is
 * whole, the superblock comes last. Same layers, same bytes: nothing in it depends on the clock or the machine.
 *
 *   block 0      superblock
 *   1 ..         file contents and full directory blocks
 *   metaBlock .. inodes, each followed by its xattrs and, where it fits, its tail (small file, symlink target, directory)
 */
import type { FileHandle } from 'node:fs/promises';
import { BlockArea } from './block-area.ts';
import {
  blockBytes,
  type Dirent,
  encodeDevice,
  encodeDirectory,
  encodeInode,
  encodeSuperblock,
  encodeXattrs,
  inodeBytes,
  layOutDirectory,
  roundUp,
  slotBytes,
} from './erofs-format.ts';
import { type DirectoryInode, type FileInode, ImageTree, type Inode, type TreeLimits } from './image-tree.ts';
import type { TarEntry } from './tar-header.ts';
import type { TarSink } from './tar-parser.ts';

/** Files up to this size stand beside their inode: one block read instead of two, and no half-empty block. */
const maxInlineBytes = 1024;
/** Inline contents wait in memory for the metadata; past this, small files get blocks like all others. */
const maxInlineTotal = 48 << 20;

interface Placed {
  inode: Inode;
  offset: number;
  xattrs: Buffer;
  /** Directories only. */
  parent?: DirectoryInode;
  names?: string[];
  counts?: number[];
  size: number;
  tailBytes: number;
  firstBlock: number;
}

export class ErofsWriter implements TarSink {
  readonly #file: FileHandle;
  readonly #area: BlockArea;
  readonly #tree: ImageTree;
  #inlineTotal = 0;
  #current: FileInode | undefined;
  #written = 0;

  constructor(file: FileHandle, limits?: TreeLimits) {
    this.#file = file;
    this.#area = new BlockArea(file, 1);
    this.#tree = new ImageTree((dropped) => this.#release(dropped), limits);
  }

  beginLayer(): void {
    this.#tree.beginLayer();
  }

  entry(entry: TarEntry): void {
    this.#current = this.#tree.apply(entry);
    this.#written = 0;
    const inode = this.#current;
    if (!inode) return;
    if (inode.size > 0 && inode.size <= maxInlineBytes && this.#inlineTotal + inode.size <= maxInlineTotal) {
      inode.content = { inline: Buffer.allocUnsafeSlow(inode.size) };
      this.#inlineTotal += inode.size;
    } else {
      const blocks = Math.ceil(inode.size / blockBytes);
      inode.content = { blocks, firstBlock: this.#area.allocate(blocks) };
    }
  }

  data(chunk: Buffer): void | Promise<void> {
    const inode = this.#current;
    if (!inode) return;
    const at = this.#written;
    this.#written += chunk.length;
    if (inode.content.inline) inode.content.inline.set(chunk, at);
    else return this.#area.write(inode.content.firstBlock * blockBytes + at, chunk);
  }

  endOfData(): void | Promise<void> {
    const inode = this.#current;
    this.#current = undefined;
    if (inode && !inode.content.inline && inode.size > 0) {
      return this.#area.pad(inode.content.firstBlock * blockBytes + inode.size);
    }
  }

  #release(dropped: FileInode): void {
    if (dropped.content.inline) this.#inlineTotal -= dropped.size;
    else this.#area.release(dropped.content.firstBlock, dropped.content.blocks);
  }

  /** Writes metadata and superblock. `uuid` is the file system's. The caller syncs the file. */
  async finish(uuid: Buffer): Promise<{ inodes: number; blocks: number; wastedBlocks: number }> {
    const placed = this.#placeAll();
    const ordered = [...placed.values()];
    const metaBytes = ordered.reduce(
      (end, one) => Math.max(end, one.offset + inodeBytes + one.xattrs.length + one.tailBytes),
      0,
    );
    const meta = Buffer.alloc(roundUp(metaBytes, blockBytes));
    for (const [serial, one] of ordered.entries()) await this.#encode(meta, one, serial + 1, placed);
    await this.#area.flush();
    const metaBlock = this.#area.end;
    const metaArea = new BlockArea(this.#file, metaBlock);
    await metaArea.write(metaBlock * blockBytes, meta);
    await metaArea.flush();
    const blocks = metaBlock + meta.length / blockBytes;
    const superblock = encodeSuperblock({
      rootNid: inodeBytes / slotBytes,
      inodes: ordered.length,
      blocks,
      metaBlock,
      uuid,
    });
    await this.#file.write(superblock, 0, blockBytes, 0);
    await this.#file.truncate(blocks * blockBytes);
    return { inodes: ordered.length, blocks, wastedBlocks: this.#area.freeBlocks };
  }

  /** Gives every inode its place in the metadata area, parents before children, and directories their blocks. */
  #placeAll(): Map<Inode, Placed> {
    const placed = new Map<Inode, Placed>();
    // Number 0 stays unused: readers of directories take it for "no entry".
    let end = 1;
    const waiting: { inode: Inode; parent: DirectoryInode }[] = [{ inode: this.#tree.root, parent: this.#tree.root }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { inode, parent } = next;
      if (placed.has(inode)) continue;
      const one = this.#measure(inode, parent);
      one.offset = placeInode(end, inodeBytes + one.xattrs.length, one.tailBytes);
      end = one.offset + inodeBytes + one.xattrs.length + one.tailBytes;
      placed.set(inode, one);
      if (inode.kind !== 'directory') continue;
      for (const name of one.names!.toReversed()) {
        const child = inode.children.get(name);
        if (child) waiting.push({ inode: child, parent: inode });
      }
    }
    return placed;
  }

  #measure(inode: Inode, parent: DirectoryInode): Placed {
    const one: Placed = { inode, offset: 0, xattrs: encodeXattrs(inode.xattrs), size: 0, tailBytes: 0, firstBlock: 0 };
    if (inode.kind === 'file') {
      one.size = inode.size;
      if (inode.content.inline) one.tailBytes = inode.size;
      else one.firstBlock = inode.content.firstBlock;
    } else if (inode.kind === 'symlink') {
      one.size = inode.target.length;
      this.#chooseTail(one);
    } else if (inode.kind === 'directory') {
      one.parent = parent;
      one.names = ['.', '..', ...inode.children.keys()].sort(byBytes);
      const { counts, size } = layOutDirectory(one.names);
      one.counts = counts;
      one.size = size;
      this.#chooseTail(one);
    }
    return one;
  }

  /** What is left after whole blocks goes beside the inode, unless it would not fit into a block with it. */
  #chooseTail(one: Placed): void {
    const tail = one.size % blockBytes;
    const fits = tail > 0 && inodeBytes + tail <= blockBytes && one.xattrs.length <= blockBytes;
    one.tailBytes = fits ? tail : 0;
    one.firstBlock = this.#area.allocate(fits ? Math.floor(one.size / blockBytes) : Math.ceil(one.size / blockBytes));
  }

  async #encode(meta: Buffer, one: Placed, serial: number, placed: Map<Inode, Placed>): Promise<void> {
    const { inode } = one;
    const isDevice = inode.kind === 'character' || inode.kind === 'block';
    encodeInode(meta, one.offset, inode, {
      layout: one.tailBytes > 0 ? 'inline' : 'plain',
      xattrBytes: one.xattrs.length,
      size: one.size,
      links: inode.kind === 'directory' ? 2 + countDirectories(inode) : inode.links,
      union: isDevice ? encodeDevice(inode.major, inode.minor) : one.firstBlock,
      serial,
    });
    one.xattrs.copy(meta, one.offset + inodeBytes);
    const content = contentOf(one, placed);
    if (!content) return;
    const tailAt = content.length - one.tailBytes;
    content.copy(meta, one.offset + inodeBytes + one.xattrs.length, tailAt);
    if (tailAt === 0) return;
    await this.#area.write(one.firstBlock * blockBytes, content.subarray(0, tailAt));
    await this.#area.pad(one.firstBlock * blockBytes + tailAt);
  }
}

/** The bytes this writer itself brings: all but files that already have their blocks. */
function contentOf(one: Placed, placed: Map<Inode, Placed>): Buffer | undefined {
  const { inode } = one;
  if (inode.kind === 'file') return inode.content.inline;
  if (inode.kind === 'symlink') return Buffer.from(inode.target, 'latin1');
  if (inode.kind !== 'directory') return undefined;
  const entries = one.names!.map((name): Dirent => {
    const target = name === '.' ? inode : name === '..' ? one.parent! : inode.children.get(name)!;
    return { name, nid: placed.get(target)!.offset / slotBytes, kind: target.kind };
  });
  const out = Buffer.alloc(one.size);
  encodeDirectory(out, entries, one.counts!);
  return out;
}

/** The first offset from `from` where an inode's head starts at a multiple of its size and its tail lies within one block. */
function placeInode(from: number, headBytes: number, tailBytes: number): number {
  let offset = roundUp(from, inodeBytes);
  while (tailBytes > 0 && ((offset + headBytes) % blockBytes) + tailBytes > blockBytes) offset += inodeBytes;
  return offset;
}

function countDirectories(directory: DirectoryInode): number {
  let count = 0;
  for (const child of directory.children.values()) if (child.kind === 'directory') count++;
  return count;
}

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
