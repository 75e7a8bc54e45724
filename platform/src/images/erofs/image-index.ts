/**
 * The images that are here, by id, tag and digest: records in memory, each change on disk before it counts. Owns the rule that a tag belongs to one
 * image. Changes are made one at a time.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { digestedName, imageIdPrefix, parseReference, taggedName } from '../reference.ts';
import { deleteRecord, type ImageRecord, loadRecords, saveRecord } from './image-record.ts';

export class ImageIndex {
  readonly #directory: string;
  readonly #records: Map<string, ImageRecord>;
  readonly #serial = new SerialByKey();

  private constructor(directory: string, records: Map<string, ImageRecord>) {
    this.#directory = directory;
    this.#records = records;
  }

  static async load(directory: string, log: Logger): Promise<ImageIndex> {
    const index = new ImageIndex(directory, await loadRecords(directory, log));
    const newest = new Map<string, number>();
    for (const { tags } of index.all()) {
      for (const tag of tags) newest.set(tag.name, Math.max(tag.atMs, newest.get(tag.name) ?? 0));
    }
    for (const record of index.all()) record.tags = record.tags.filter((tag) => newest.get(tag.name) === tag.atMs);
    return index;
  }

  all(): ImageRecord[] {
    return [...this.#records.values()];
  }

  byId(id: string): ImageRecord | undefined {
    return this.#records.get(id);
  }

  usesContent(contentId: string): boolean {
    return this.all().some((record) => record.contentId === contentId);
  }

  /** By tag, digest, id or unambiguous prefix of an id. A name goes before an id it could be mistaken for. */
  find(text: string): ImageRecord | undefined {
    const prefix = imageIdPrefix(text);
    if (prefix?.length === 64) return this.#records.get(`sha256:${prefix}`);
    const reference = safeParse(text, prefix !== undefined);
    const named = reference && this.#byName(reference);
    if (named || !prefix) return named;
    const matches = this.all().filter(({ id }) => id.startsWith(`sha256:${prefix}`));
    if (matches.length > 1)
      throw new SampanError(
        'Invalid',
        `image id ${text} is ambiguous: ${matches.length} images begin so; give more of it`,
      );
    return matches[0];
  }

  #byName(reference: ReturnType<typeof parseReference>): ImageRecord | undefined {
    if (reference.digest) {
      const name = digestedName(reference, reference.digest);
      return this.all().find(({ repoDigests }) => repoDigests.includes(name));
    }
    const name = taggedName(reference);
    return this.all().find(({ tags }) => tags.some((tag) => tag.name === name));
  }

  /** Adds or replaces a record with names added to it; a tag that another image had moves over. */
  put(
    record: ImageRecord,
    names: { tag?: string | undefined; digest?: string | undefined; nowMs: number },
  ): Promise<ImageRecord> {
    return this.#serial.run('', async () => {
      const known = this.#records.get(record.id);
      const tags = (known?.tags ?? []).filter(({ name }) => name !== names.tag);
      if (names.tag) tags.push({ name: names.tag, atMs: names.nowMs });
      const digests = new Set(known?.repoDigests);
      if (names.digest) digests.add(names.digest);
      const next: ImageRecord = { ...record, tags, repoDigests: [...digests], lastUsedMs: names.nowMs };
      if (!next.manifest && known?.manifest) next.manifest = known.manifest;
      await this.#save(next);
      if (names.tag) await this.#untagOthers(names.tag, record.id);
      return next;
    });
  }

  async #untagOthers(tag: string, id: string): Promise<void> {
    for (const other of this.all()) {
      if (other.id === id || !other.tags.some(({ name }) => name === tag)) continue;
      await this.#save({ ...other, tags: other.tags.filter(({ name }) => name !== tag) });
    }
  }

  /** Changes the record if it is (still) there; `change` returns undefined to leave it as it is. */
  update(id: string, change: (record: ImageRecord) => ImageRecord | undefined): Promise<void> {
    return this.#serial.run('', async () => {
      const record = this.#records.get(id);
      const next = record && change(record);
      if (next) await this.#save(next);
    });
  }

  delete(id: string): Promise<void> {
    return this.#serial.run('', async () => {
      await deleteRecord(this.#directory, id);
      this.#records.delete(id);
    });
  }

  async #save(record: ImageRecord): Promise<void> {
    await saveRecord(this.#directory, record);
    this.#records.set(record.id, record);
  }
}

/** Throws Invalid for what is no name, unless it may be an id. */
function safeParse(text: string, mayBeId: boolean): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (mayBeId) return undefined;
    throw error;
  }
}
