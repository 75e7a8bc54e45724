/**
 * An image store without images: what registries hold is told by `publish`, pulling and importing only note it. For tests and the simulation of
 * everything above images; block images are names of files that do not exist.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { decideGarbage, excessBytes, type GarbageResult, type GarbageThresholds } from '../garbage.ts';
import type { Image, ImageConfig, ImageGarbageCollector, ImageStore, RegistryAuth } from '../images.ts';
import {
  digestedName,
  formatReference,
  imageIdPrefix,
  parseReference,
  type Reference,
  repositoryName,
  taggedName,
} from '../reference.ts';

export interface FakeImage {
  config?: ImageConfig;
  /** Distinguishes images of one config. */
  content?: string;
  sizeBytes?: number;
  /** Pulling it needs these. */
  auth?: RegistryAuth;
}

export interface FakeImageStoreOptions {
  clock?: Clock;
  /** Every name exists in its registry, with an empty config. */
  everythingExists?: boolean;
  /** What the disk holds, for garbage collection. */
  capacityBytes?: number;
  /** How long a pull takes. */
  pullMs?: number;
}

interface Held {
  image: Image;
  lastUsedMs: number;
}

export class FakeImageStore implements ImageStore, ImageGarbageCollector {
  readonly #options: Required<FakeImageStoreOptions>;
  readonly #published = new Map<string, FakeImage>();
  readonly #failures = new Map<string, Error>();
  readonly #held = new Map<string, Held>();
  readonly #pins = new Map<string, Set<string>>();
  /** Every pull asked for, in order. */
  readonly pulls: string[] = [];

  constructor(options: FakeImageStoreOptions = {}) {
    this.#options = { clock: systemClock, everythingExists: false, capacityBytes: 2 ** 40, pullMs: 0, ...options };
  }

  /** Puts an image into the (imaginary) registry of the reference. Returns the digest it can also be pulled by. */
  publish(text: string, image: FakeImage = {}): string {
    const reference = parseReference(text);
    const digest = manifestDigest(image);
    this.#published.set(formatReference(reference), image);
    this.#published.set(digestedName(reference, digest), image);
    return digest;
  }

  /** Pulls of this name fail so until told otherwise with undefined. */
  failPulls(text: string, error: Error | undefined): void {
    const name = formatReference(parseReference(text));
    if (error) this.#failures.set(name, error);
    else this.#failures.delete(name);
  }

  async pull(text: string, options: Parameters<ImageStore['pull']>[1] = {}): Promise<Image> {
    const reference = parseReference(text);
    const name = formatReference(reference);
    options.signal?.throwIfAborted();
    this.pulls.push(name);
    options.onProgress?.({ phase: 'resolving', doneBytes: 0, totalBytes: 0 });
    if (this.#options.pullMs > 0) await this.#options.clock.sleep(this.#options.pullMs, options.signal);
    const failure = this.#failures.get(name);
    if (failure) throw failure;
    const wanted = reference.digest ? digestedName(reference, reference.digest) : name;
    const image =
      this.#published.get(wanted) ??
      (this.#options.everythingExists && !reference.digest ? { content: name } : undefined);
    if (!image) throw new SampanError('NotFound', `${name} does not exist: manifest unknown`);
    const { auth } = image;
    if (auth && (auth.username !== options.auth?.username || auth.password !== options.auth?.password)) {
      throw new SampanError(
        'Unauthorized',
        `${repositoryName(reference)}: the registry wants (other) credentials: authentication required`,
      );
    }
    const size = sizeOf(image);
    options.onProgress?.({ phase: 'converting', doneBytes: size, totalBytes: size });
    return this.#hold(image, { tag: taggedName(reference), digest: digestedName(reference, manifestDigest(image)) });
  }

  #hold(fake: FakeImage, names: { tag?: string | undefined; digest?: string | undefined }): Image {
    const id = idOf(fake);
    const now = this.#options.clock.now();
    const held = this.#held.get(id) ?? { image: newImage(fake), lastUsedMs: now };
    held.lastUsedMs = now;
    for (const other of this.#held.values())
      other.image.repoTags = other.image.repoTags.filter((tag) => tag !== names.tag);
    if (names.tag) held.image.repoTags.push(names.tag);
    if (names.digest && !held.image.repoDigests.includes(names.digest)) held.image.repoDigests.push(names.digest);
    this.#held.set(id, held);
    return structuredClone(held.image);
  }

  async get(text: string): Promise<Image | undefined> {
    const found = this.#find(text);
    return found && structuredClone(found.image);
  }

  #find(text: string): Held | undefined {
    const prefix = imageIdPrefix(text);
    const byId =
      prefix === undefined
        ? []
        : [...this.#held.values()].filter(({ image }) => image.id.startsWith(`sha256:${prefix}`));
    if (prefix?.length === 64) return byId[0];
    const named = this.#byName(text, prefix !== undefined);
    if (!named && byId.length > 1) throw new SampanError('Invalid', `image id ${text} is ambiguous; give more of it`);
    return named ?? byId[0];
  }

  #byName(text: string, mayBeId: boolean): Held | undefined {
    let reference: Reference;
    try {
      reference = parseReference(text);
    } catch (error) {
      if (mayBeId) return undefined;
      throw error;
    }
    const name = reference.digest ? digestedName(reference, reference.digest) : taggedName(reference)!;
    return [...this.#held.values()].find(({ image }) => [...image.repoTags, ...image.repoDigests].includes(name));
  }

  async list(): Promise<Image[]> {
    return [...this.#held.values()].map(({ image }) => structuredClone(image));
  }

  async remove(text: string): Promise<void> {
    const held = this.#find(text);
    if (!held) return;
    const { image } = held;
    const named = this.#byName(text, true) === held && imageIdPrefix(text)?.length !== 64;
    const reference = named ? parseReference(text) : undefined;
    const gone = reference && (reference.digest ? digestedName(reference, reference.digest) : taggedName(reference));
    const repoTags = image.repoTags.filter((tag) => tag !== gone);
    const repoDigests = image.repoDigests.filter((digest) => digest !== gone);
    const stays = reference && (reference.digest ? repoTags.length + repoDigests.length > 0 : repoTags.length > 0);
    if (stays) Object.assign(image, { repoTags, repoDigests });
    else this.#delete(image);
  }

  #delete(image: Image): void {
    const users = this.#usersOf(image.id);
    if (users.length > 0) {
      throw new SampanError(
        'FailedPrecondition',
        `image ${image.repoTags[0] ?? image.id} is in use by ${users.join(', ')}; stop it, then remove the image`,
      );
    }
    this.#held.delete(image.id);
  }

  /** A fake archive is a JSON file: a list of `{ name?, config?, content? }`. */
  async import(archivePath: string, options: { as?: string } = {}): Promise<Image[]> {
    const images = JSON.parse(await readFile(archivePath, 'utf8')) as (FakeImage & { name?: string })[];
    return images.map((image) => {
      const name = image.name ?? options.as;
      return this.#hold(image, { tag: name && taggedName(parseReference(name)) });
    });
  }

  async pin(imageId: string, user: string): Promise<void> {
    const held = this.#held.get(imageId);
    if (!held) throw new SampanError('NotFound', `image ${imageId} is not here; pull it, then pin it`);
    held.lastUsedMs = this.#options.clock.now();
    this.#pins.set(user, new Set(this.#pins.get(user)).add(imageId));
  }

  async unpin(user: string): Promise<void> {
    for (const id of this.#pins.get(user) ?? []) {
      const held = this.#held.get(id);
      if (held) held.lastUsedMs = this.#options.clock.now();
    }
    this.#pins.delete(user);
  }

  #usersOf(imageId: string): string[] {
    return [...this.#pins].filter(([, ids]) => ids.has(imageId)).map(([user]) => user);
  }

  async usage(): Promise<{ usedBytes: number; images: number; path: string }> {
    return { usedBytes: this.#usedBytes(), images: this.#held.size, path: '/fake/images' };
  }

  #usedBytes(): number {
    return this.#held.values().reduce((sum, { image }) => sum + image.sizeBytes, 0);
  }

  async collectGarbage(thresholds: GarbageThresholds): Promise<GarbageResult> {
    const candidates = [...this.#held.values()].map(({ image, lastUsedMs }) => ({
      id: image.id,
      freesBytes: image.sizeBytes,
      lastUsedMs,
      pinned: this.#usersOf(image.id).length > 0,
    }));
    const disk = { usedBytes: this.#usedBytes(), capacityBytes: this.#options.capacityBytes };
    const wantedBytes = excessBytes(disk, thresholds);
    const usedBeforeMs = this.#options.clock.now() - (thresholds.minAgeMs ?? 0);
    const removed = decideGarbage(candidates, wantedBytes, usedBeforeMs);
    for (const id of removed) this.#held.delete(id);
    return { removed, wantedBytes, freedBytes: disk.usedBytes - this.#usedBytes(), disk };
  }
}

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const idOf = (image: FakeImage): string => sha256(JSON.stringify(['config', image.config, image.content]));
const manifestDigest = (image: FakeImage): string => sha256(JSON.stringify(['manifest', image.config, image.content]));
const sizeOf = (image: FakeImage): number => image.sizeBytes ?? 1 << 20;

function newImage(fake: FakeImage): Image {
  const id = idOf(fake);
  return {
    id,
    repoTags: [],
    repoDigests: [],
    sizeBytes: sizeOf(fake),
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: structuredClone(fake.config ?? {}),
    blockImagePath: `/fake/images/${id.slice(7)}.erofs`,
  };
}
