/**
 * A push parser of tar streams for archives nobody vouches for: bounded memory, no file is touched.
 *
 *   header ──file──▶ body ──▶ padding ──▶ header ...
 *      │──pax, long name──▶ extension ──▶ padding ──▶ header of what it describes
 *      └──block of zeros──▶ ended (the rest is drained: archives are padded)
 */
import { SampanError } from '@sampan/api/errors.ts';
import { type PaxFields, readPaxRecords } from './pax-records.ts';
import { type EntryKind, readRawHeader, type TarEntry, tarBlockBytes } from './tar-header.ts';

/** Takes what the archive holds, in its order. A returned promise holds the parser back. */
export interface TarSink {
  entry(entry: TarEntry): void | Promise<void>;
  /** Content of the last entry, a file; the buffer is only valid during the call. */
  data(chunk: Buffer): void | Promise<void>;
  /** The last entry's content is complete. Also called for empty files. */
  endOfData(): void | Promise<void>;
}

/** Longest pax header or GNU long name taken: room for a 64 KiB xattr and 4 KiB names. */
const maxExtensionBytes = 1 << 20;

const kinds: Record<string, EntryKind> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

type State = 'header' | 'body' | 'extension' | 'padding' | 'ended';

export class TarParser {
  readonly #sink: TarSink;
  #state: State = 'header';
  #header = Buffer.alloc(tarBlockBytes);
  #filled = 0;
  #remaining = 0;
  #padding = 0;
  #extension: { type: string; chunks: Buffer[] } | undefined;
  #pax: PaxFields | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #position = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Bytes read so far; during `entry` the place where its content begins. */
  get position(): number {
    return this.#position;
  }

  /** Throws Invalid for a broken archive, Unsupported for entries of kinds that are not read. */
  async write(chunk: Buffer): Promise<void> {
    let offset = 0;
    while (offset < chunk.length && this.#state !== 'ended') {
      if (this.#state === 'header') offset = await this.#takeHeader(chunk, offset);
      else if (this.#state === 'padding') offset = this.#takePadding(chunk, offset);
      else offset = await this.#takeContent(chunk, offset);
    }
  }

  /** Throws Invalid when the archive stopped in the middle of something. */
  end(): void {
    const whole = this.#state === 'ended' || (this.#state === 'header' && this.#filled === 0);
    if (!whole) throw new SampanError('Invalid', 'broken tar: it ends in the middle of an entry');
  }

  async #takeHeader(chunk: Buffer, offset: number): Promise<number> {
    const taken = Math.min(tarBlockBytes - this.#filled, chunk.length - offset);
    chunk.copy(this.#header, this.#filled, offset, offset + taken);
    this.#filled += taken;
    this.#position += taken;
    if (this.#filled < tarBlockBytes) return offset + taken;
    this.#filled = 0;
    if (this.#header.every((byte) => byte === 0)) this.#state = 'ended';
    else await this.#begin();
    return offset + taken;
  }

  #takePadding(chunk: Buffer, offset: number): number {
    const taken = Math.min(this.#padding, chunk.length - offset);
    this.#padding -= taken;
    this.#position += taken;
    if (this.#padding === 0) this.#state = 'header';
    return offset + taken;
  }

  async #takeContent(chunk: Buffer, offset: number): Promise<number> {
    const taken = Math.min(this.#remaining, chunk.length - offset);
    const part = chunk.subarray(offset, offset + taken);
    this.#remaining -= taken;
    this.#position += taken;
    if (this.#extension) this.#extension.chunks.push(Buffer.from(part));
    else {
      const wait = this.#sink.data(part);
      if (wait) await wait;
    }
    if (this.#remaining === 0) await this.#endContent();
    return offset + taken;
  }

  async #endContent(): Promise<void> {
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    if (!this.#extension) return this.#sink.endOfData();
    const { type, chunks } = this.#extension;
    this.#extension = undefined;
    const data = Buffer.concat(chunks);
    if (type === 'x') this.#pax = readPaxRecords(data);
    if (type === 'L') this.#longName = data.toString('latin1').replace(/\0.*$/s, '');
    if (type === 'K') this.#longLink = data.toString('latin1').replace(/\0.*$/s, '');
  }

  async #begin(): Promise<void> {
    const raw = readRawHeader(this.#header);
    if (raw.size < 0) throw new SampanError('Invalid', 'broken tar: an entry has a negative size');
    // 'g' (global pax header) and 'V' (volume label) carry no file: read over.
    if ('xgLKV'.includes(raw.type)) return this.#beginContent(raw.size, { type: raw.type, chunks: [] });
    const kind = kinds[raw.type];
    const pax = this.#pax;
    const name = pax?.path ?? this.#longName ?? raw.name;
    if (!kind) {
      const shown = JSON.stringify(name.slice(0, 200));
      throw new SampanError(
        'Unsupported',
        `tar entry ${shown} is of type ${JSON.stringify(raw.type)}, which is not read`,
      );
    }
    const isOldDirectory = kind === 'file' && name.endsWith('/');
    const entry: TarEntry = {
      kind: isOldDirectory ? 'directory' : kind,
      name,
      linkName: pax?.linkpath ?? this.#longLink ?? raw.linkName,
      // Links, devices and directories have no content whatever their size field says.
      size: kind === 'file' && !isOldDirectory ? (pax?.size ?? raw.size) : 0,
      mode: raw.mode & 0o7777,
      uid: pax?.uid ?? raw.uid,
      gid: pax?.gid ?? raw.gid,
      mtimeSeconds: pax?.mtime?.seconds ?? raw.mtimeSeconds,
      mtimeNanoseconds: pax?.mtime?.nanoseconds ?? 0,
      deviceMajor: raw.deviceMajor,
      deviceMinor: raw.deviceMinor,
      xattrs: pax?.xattrs ?? new Map(),
    };
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    await this.#sink.entry(entry);
    if (entry.kind === 'file') await this.#beginContent(entry.size, undefined);
  }

  async #beginContent(size: number, extension: { type: string; chunks: Buffer[] } | undefined): Promise<void> {
    if (extension && size > maxExtensionBytes) {
      throw new SampanError(
        'Invalid',
        `broken tar: an extended header of ${size} bytes (at most ${maxExtensionBytes})`,
      );
    }
    this.#extension = extension;
    this.#remaining = size;
    this.#padding = (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes;
    this.#state = extension ? 'extension' : 'body';
    if (size === 0) await this.#endContent();
  }
}
