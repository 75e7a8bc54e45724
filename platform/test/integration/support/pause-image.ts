/** An image for containerd's pause container: the demo image with a command that waits, and has no name that critest looks for ("sleep"). */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { demoArchive } from './demo-image.ts';

export const pauseImage = 'localhost/pause:1';

/** Path of its archive, in `directory`. */
export async function pauseArchive(directory: string): Promise<string> {
  const work = await mkdtemp(join(directory, 'pause-'));
  await command('tar', ['-C', work, '-xf', await demoArchive()]);
  const edit = async (name: string, from: string, to: string) => {
    const path = join(work, name);
    const text = await readFile(path, 'utf8');
    assert.ok(text.includes(from), `${name} has no ${from}`);
    await writeFile(path, text.replace(from, to));
  };
  await edit('config.json', '"Cmd":["sh"]', '"Cmd":["tail","-f","/dev/null"]');
  await edit('manifest.json', '"localhost/demo:1","localhost/demo:latest"', `"${pauseImage}"`);
  const archive = join(directory, 'pause.tar');
  await command('tar', ['-C', work, '-cf', archive, '.']);
  await rm(work, { recursive: true });
  return archive;
}
