/** Builds the demo image once a machine and imports it into an instance, as `up --demo` does. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.ts';
import type { TestInstance } from './instance.ts';

const archive = '/var/cache/sampan/demo-image-1.tar';

export async function loadDemoImage(instance: TestInstance): Promise<void> {
  const imported = await instance.sampan(['image', 'import', await demoArchive()]);
  if (imported.code !== 0) throw new Error(`image import: ${imported.stderr}`);
}

/** Path of the image as a docker-save archive. */
export async function demoArchive(): Promise<string> {
  if (!existsSync(archive)) {
    const built = await command('sh', [join(import.meta.dirname, '../../../../cli/src/demo/build-image.sh'), archive], {
      timeoutMs: 120_000,
    });
    if (built.code !== 0) throw new Error(built.stderr);
  }
  return archive;
}
