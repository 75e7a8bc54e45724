/** Which sandbox keeps which images, one small file per sandbox: a restarted server must not collect what a running machine reads. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';

const pinSchema = z.object({ images: z.array(z.string()) });
const userPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export class Pins {
  readonly #directory: string;
  readonly #byUser: Map<string, Set<string>>;

  private constructor(directory: string, byUser: Map<string, Set<string>>) {
    this.#directory = directory;
    this.#byUser = byUser;
  }

  static async load(directory: string, log: Logger): Promise<Pins> {
    const byUser = new Map<string, Set<string>>();
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      try {
        if (!userPattern.test(name) || name.endsWith('.tmp')) throw new Error('left over from a crash');
        byUser.set(name, new Set(pinSchema.parse(JSON.parse(await readFile(path, 'utf8'))).images));
      } catch (error) {
        log.warn({ path, error: messageOf(error) }, 'a pin cannot be read and is removed');
        await rm(path, { force: true });
      }
    }
    return new Pins(directory, byUser);
  }

  /** Throws Invalid for a user that cannot be a file's name. */
  async add(imageId: string, user: string): Promise<void> {
    if (!userPattern.test(user) || user.endsWith('.tmp')) {
      throw new SampanError('Invalid', `cannot pin for ${JSON.stringify(user.slice(0, 200))}: wanted a sandbox id`);
    }
    const images = new Set(this.#byUser.get(user)).add(imageId);
    // Not fsynced: a start waits for this, and a host that loses power loses the machine that uses the image as well.
    await writeFileAtomic(join(this.#directory, user), JSON.stringify({ images: [...images] }), { durable: false });
    this.#byUser.set(user, images);
  }

  async drop(user: string): Promise<void> {
    if (!this.#byUser.has(user)) return;
    await rm(join(this.#directory, user), { force: true });
    this.#byUser.delete(user);
  }

  usersOf(imageId: string): string[] {
    return [...this.#byUser].filter(([, images]) => images.has(imageId)).map(([user]) => user);
  }

  imagesOf(user: string): string[] {
    return [...(this.#byUser.get(user) ?? [])];
  }
}
