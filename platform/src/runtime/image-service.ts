/** CRI's ImageService over the image store. */
import { readdir, stat } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { Image, RegistryAuth } from '../images/images.ts';
import type { Context } from './context.ts';
import type * as cri from './generated/cri.ts';
import type { ImageService } from './runtime.ts';

export function imageService(context: Context): ImageService {
  const { images } = context.options;
  return {
    async listImages({ filter }) {
      const reference = filter?.image?.image;
      if (!reference) return { images: (await images.list()).map(criImage) };
      const image = await images.get(reference);
      return { images: image ? [criImage(image)] : [] };
    },
    async imageStatus({ image, verbose }) {
      const found = await images.get(referenceOf(image));
      if (!found) return {};
      const info = { imageSpec: { config: found.config, architecture: found.architecture, os: found.os } };
      return { image: criImage(found), info: verbose ? { info: JSON.stringify(info) } : undefined };
    },
    async pullImage({ image, auth }) {
      const credentials = registryAuth(auth);
      const pulled = await images.pull(referenceOf(image), credentials ? { auth: credentials } : {});
      return { imageRef: pulled.id };
    },
    async removeImage({ image }) {
      const found = await images.get(referenceOf(image));
      // CRI: the image goes with all its names; removing what is not there is done already.
      if (found) await images.remove(found.id);
      return {};
    },
    async imageFsInfo() {
      const { usedBytes, path } = await images.usage();
      const timestamp = context.nowNanos();
      const inodesUsed = { value: await inodesBelow(path) };
      const containerFilesystems = [await scratchUsage(context, timestamp)];
      return {
        imageFilesystems: [
          { timestamp, fsId: { mountpoint: path }, usedBytes: { value: BigInt(usedBytes) }, inodesUsed },
        ],
        containerFilesystems,
      };
    },
  };
}

function referenceOf(image: cri.ImageSpec | undefined): string {
  if (!image?.image) throw new SampanError('Invalid', 'the request names no image');
  return image.image;
}

function criImage(image: Image): cri.Image {
  const { id, repoTags, repoDigests, sizeBytes, config } = image;
  return {
    id,
    repoTags,
    repoDigests,
    size: BigInt(sizeBytes),
    ...userOf(config.User),
    spec: { image: id, annotations: {} },
    pinned: false,
  };
}

/** A numeric user as uid, another as username (CRI: one of the two). */
function userOf(user: string | undefined): Pick<cri.Image, 'uid' | 'username'> {
  const name = (user ?? '').split(':')[0] ?? '';
  if (name === '') return { uid: { value: 0n } };
  return /^\d{1,10}$/.test(name) ? { uid: { value: BigInt(name) } } : { username: name };
}

/** `auth` is base64 of user:password, as in docker's config.json. Throws Invalid when it is not. */
export function registryAuth(auth: cri.AuthConfig | undefined): RegistryAuth | undefined {
  if (!auth) return undefined;
  const { username, password, identityToken, registryToken } = auth;
  const given = Object.entries({ username, password, identityToken, registryToken }).filter(([, text]) => text);
  const result: RegistryAuth = Object.fromEntries(given);
  if (auth.auth && !username) {
    const text = Buffer.from(auth.auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const at = text.indexOf(':');
    if (at < 0) throw new SampanError('Invalid', 'the image pull credentials are not base64 of "user:password"');
    result.username = text.slice(0, at);
    result.password = text.slice(at + 1);
  }
  return Object.keys(result).length > 0 ? result : undefined;
}

/** Files and directories of the image store: a few for each image, whatever is in it. */
async function inodesBelow(directory: string): Promise<bigint> {
  const names = await readdir(directory, { recursive: true }).catch(() => undefined);
  return names ? BigInt(names.length + 1) : 0n;
}

/** What scratch disks hold: allocated blocks, not their sparse size. */
async function scratchUsage(context: Context, timestamp: bigint): Promise<cri.FilesystemUsage> {
  const ids = await context.scratch.list();
  const sizes = await Promise.all(
    ids.map((id) =>
      stat(context.scratch.path(id))
        .then(({ blocks }) => blocks * 512)
        .catch(() => 0),
    ),
  );
  const usedBytes = sizes.reduce((sum, size) => sum + size, 0);
  const fsId = { mountpoint: context.paths.scratches() };
  return { timestamp, fsId, usedBytes: { value: BigInt(usedBytes) }, inodesUsed: { value: BigInt(ids.length) } };
}
