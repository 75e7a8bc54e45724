/**
 * The file tree of an image while its layers are laid over one another, lowest first, in memory: nothing of an archive ever becomes a path of
 * the host. Owns merging: whiteouts, opaque directories, hard links, symlinked parents (OCI image-spec layer.md). Content of files is elsewhere:
 * an inode only remembers where (`content`), and `release` is told when no name leads to it any more.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { TarEntry } from './tar-header.ts';

export interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  xattrs: Map<string, Buffer>;
}

export type FileContent = { blocks: number; firstBlock: number; inline?: undefined } | { inline: Buffer };

export interface FileInode extends Attributes {
  kind: 'file';
  links: number;
  size: number;
  content: FileContent;
}
export interface SymlinkInode extends Attributes {
  kind: 'symlink';
  links: number;
  target: string;
}
export interface DeviceInode extends Attributes {
  kind: 'character' | 'block' | 'fifo';
  links: number;
  major: number;
  minor: number;
}
export interface DirectoryInode extends Attributes {
  kind: 'directory';
  children: Map<string, Inode>;
}
export type LeafInode = FileInode | SymlinkInode | DeviceInode;
export type Inode = LeafInode | DirectoryInode;

export interface TreeLimits {
  /** Names in all, hidden ones included: an archive of nothing but names must end somewhere. */
  maxEntries: number;
  maxDepth: number;
}

const defaultTreeLimits: TreeLimits = { maxEntries: 1_000_000, maxDepth: 256 };

const maxNameBytes = 255;
const maxPathBytes = 4096;
const maxSymlinks = 40;
const whiteout = '.wh.';
const opaque = '.wh..wh..opq';
const none: Map<string, Buffer> = new Map();

export class ImageTree {
  readonly root: DirectoryInode = newDirectory();
  readonly #release: (file: FileInode) => void;
  readonly #limits: TreeLimits;
  #entries = 0;
  /** Names that the layer under way brought or went through: its whiteouts must not hide them. */
  #touched = new Map<DirectoryInode, Set<string>>();

  constructor(release: (file: FileInode) => void, limits: TreeLimits = defaultTreeLimits) {
    this.#release = release;
    this.#limits = limits;
  }

  beginLayer(): void {
    this.#touched = new Map();
  }

  /**
   * Applies one entry. Returns the inode when it is a file whose content is to follow.
   * Throws Invalid for names that lead out of the image, that cannot be, or are too many.
   */
  apply(entry: TarEntry): FileInode | undefined {
    if (++this.#entries > this.#limits.maxEntries) {
      throw new SampanError(
        'Invalid',
        `the image has more than ${this.#limits.maxEntries} files; the limit protects the node`,
      );
    }
    const parts = pathParts(entry.name, this.#limits.maxDepth);
    const name = parts.pop();
    if (name === undefined) return this.#applyRoot(entry);
    const parent = this.#directoryAt(parts, entry.name, true)!;
    if (name.startsWith(whiteout)) {
      this.#applyWhiteout(parent, name);
      return undefined;
    }
    const existing = parent.children.get(name);
    const inode = this.#inodeFor(entry, existing);
    this.#touch(parent, name);
    if (existing === inode) {
      // A directory met again, or a link that says what is already so.
      if (inode.kind !== 'directory') inode.links--;
      return undefined;
    }
    parent.children.set(name, inode);
    if (existing) this.#unlink(existing);
    return inode.kind === 'file' && entry.kind === 'file' ? inode : undefined;
  }

  #applyRoot(entry: TarEntry): undefined {
    if (entry.kind !== 'directory')
      throw invalid(entry.name, `is a ${entry.kind}, but the root of an image is a directory`);
    Object.assign(this.root, attributesOf(entry));
  }

  #inodeFor(entry: TarEntry, existing: Inode | undefined): Inode {
    if (entry.kind === 'hardlink') return this.#linkTarget(entry);
    const attributes = attributesOf(entry);
    if (entry.kind === 'directory') {
      if (existing?.kind === 'directory') return Object.assign(existing, attributes);
      return { ...attributes, kind: 'directory', children: new Map() };
    }
    if (entry.kind === 'file') {
      return { ...attributes, kind: 'file', links: 1, size: entry.size, content: { blocks: 0, firstBlock: 0 } };
    }
    if (entry.kind === 'symlink') {
      if (entry.linkName === '' || entry.linkName.length >= maxPathBytes)
        throw invalid(entry.name, 'has no usable target');
      // Linux knows no permissions of symlinks; all show these.
      return { ...attributes, mode: 0o777, kind: 'symlink', links: 1, target: entry.linkName };
    }
    if (
      !(entry.deviceMajor >= 0 && entry.deviceMajor < 1 << 12 && entry.deviceMinor >= 0 && entry.deviceMinor < 1 << 20)
    ) {
      throw invalid(entry.name, 'has a device number that Linux does not have');
    }
    return { ...attributes, kind: entry.kind, links: 1, major: entry.deviceMajor, minor: entry.deviceMinor };
  }

  #linkTarget(entry: TarEntry): LeafInode {
    const parts = pathParts(entry.linkName, this.#limits.maxDepth);
    const name = parts.pop();
    const target = name && this.#directoryAt(parts, entry.linkName, false)?.children.get(name);
    if (!target || target.kind === 'directory') {
      const what = target ? 'a directory' : 'not in this image';
      throw invalid(entry.name, `is a hard link to ${JSON.stringify(entry.linkName.slice(0, 200))}, which is ${what}`);
    }
    target.links++;
    return target;
  }

  /** The directory at a path, symlinks on the way followed inside the image only; `create` makes what is missing. */
  #directoryAt(path: string[], shown: string, create: boolean): DirectoryInode | undefined {
    const ways: DirectoryInode[] = [this.root];
    const rest = path.toReversed();
    let symlinks = 0;
    let steps = 0;
    while (rest.length > 0) {
      if (++steps > maxPathBytes) throw invalid(shown, 'goes through too many symlinks');
      const part = rest.pop()!;
      const here = ways.at(-1)!;
      if (part === '.' || part === '') continue;
      if (part === '..') {
        if (ways.length > 1) ways.pop();
        continue;
      }
      let next = here.children.get(part);
      if (!next) {
        if (!create) return undefined;
        next = newDirectory();
        this.#countImplied();
        here.children.set(part, next);
      }
      if (next.kind === 'symlink') {
        if (++symlinks > maxSymlinks) throw invalid(shown, 'goes through too many symlinks');
        if (next.target.startsWith('/')) ways.length = 1;
        rest.push(...next.target.split('/').toReversed());
        continue;
      }
      if (next.kind !== 'directory') {
        if (!create) return undefined;
        throw invalid(shown, `lies below ${JSON.stringify(part)}, which is a ${next.kind}`);
      }
      if (create) this.#touch(here, part);
      ways.push(next);
      if (ways.length > this.#limits.maxDepth)
        throw invalid(shown, `lies more than ${this.#limits.maxDepth} directories deep`);
    }
    return ways.at(-1);
  }

  #countImplied(): void {
    if (++this.#entries > this.#limits.maxEntries) {
      throw new SampanError(
        'Invalid',
        `the image has more than ${this.#limits.maxEntries} files; the limit protects the node`,
      );
    }
  }

  #applyWhiteout(parent: DirectoryInode, name: string): void {
    if (name === opaque) this.#purge(parent);
    // Other names of this form are aufs' own bookkeeping and never part of an image.
    else if (!name.startsWith('.wh..wh.')) this.#hide(parent, name.slice(whiteout.length));
  }

  /** Removes what lower layers brought below `directory`. */
  #purge(directory: DirectoryInode): void {
    for (const name of [...directory.children.keys()]) this.#hide(directory, name);
  }

  #hide(parent: DirectoryInode, name: string): void {
    const child = parent.children.get(name);
    if (!child) return;
    if (!this.#touched.get(parent)?.has(name)) {
      parent.children.delete(name);
      this.#unlink(child);
    } else if (child.kind === 'directory') this.#purge(child);
  }

  #unlink(inode: Inode): void {
    const doomed: Inode[] = [inode];
    for (let next = doomed.pop(); next; next = doomed.pop()) {
      if (next.kind === 'directory') doomed.push(...next.children.values());
      else if (--next.links === 0 && next.kind === 'file') this.#release(next);
    }
  }

  #touch(directory: DirectoryInode, name: string): void {
    const names = this.#touched.get(directory);
    if (names) names.add(name);
    else this.#touched.set(directory, new Set([name]));
  }
}

function newDirectory(): DirectoryInode {
  return {
    kind: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeSeconds: 0,
    mtimeNanoseconds: 0,
    xattrs: none,
    children: new Map(),
  };
}

/** The components of an entry's name. A leading slash means the image's root, as every unpacker takes it. */
function pathParts(name: string, maxDepth: number): string[] {
  if (name.length > maxPathBytes) throw invalid(name, `has a name of more than ${maxPathBytes} bytes`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw invalid(name, 'points out of the image with ".."');
  if (parts.some((part) => part.length > maxNameBytes))
    throw invalid(name, `has a component of more than ${maxNameBytes} bytes`);
  if (parts.some((part) => part.includes('\0'))) throw invalid(name, 'has a zero byte in its name');
  if (parts.length > maxDepth) throw invalid(name, `lies more than ${maxDepth} directories deep`);
  return parts;
}

function attributesOf(entry: TarEntry): Attributes {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = entry;
  for (const id of [uid, gid])
    if (!(id >= 0 && id < 2 ** 32)) throw invalid(entry.name, `belongs to the impossible user ${id}`);
  return { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs: keptXattrs(entry) };
}

const maxXattrBytes = 32 << 10;

/**
 * Overlay's own attributes and the rest of trusted.* would let an image steer the overlay it becomes a part of: they are not taken.
 */
function keptXattrs(entry: TarEntry): Map<string, Buffer> {
  if (entry.xattrs.size === 0) return none;
  const kept = new Map<string, Buffer>();
  let bytes = 0;
  for (const [name, value] of entry.xattrs) {
    const known = /^(user|security)\../s.test(name) || /^system\.posix_acl_(access|default)$/.test(name);
    if (!known || name.startsWith('user.overlay.')) continue;
    bytes += name.length + value.length + 8;
    if (name.length > 255 || bytes > maxXattrBytes)
      throw invalid(entry.name, 'has extended attributes that are too long');
    kept.set(name, value);
  }
  return kept;
}

function invalid(name: string, problem: string): SampanError {
  return new SampanError('Invalid', `entry ${JSON.stringify(name.slice(0, 200))} ${problem}`);
}
