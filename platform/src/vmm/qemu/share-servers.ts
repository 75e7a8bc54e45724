/** The servers of a machine's shares, found by the files that the launcher wrote (host/launcher/src/share.rs). */
import { join } from 'node:path';
import { readTextIfExists } from '../../base/files.ts';
import { isAlive, readProcessFile } from './vmm-process.ts';

/** Index of the first share whose server is gone. */
export async function firstDead(directory: string, tags: readonly string[]): Promise<number | undefined> {
  for (const index of tags.keys()) {
    const process = await readProcessFile(directory, `share${index}`);
    if (!process || !(await isAlive(process))) return index;
  }
  return undefined;
}

/** What to tell of it: with the server's own last words, which a guest may have caused. */
export async function shareServerWords(directory: string, tags: readonly string[], index: number): Promise<string> {
  const log = await readTextIfExists(join(directory, `share${index}.log`)).catch(() => undefined);
  const words = log?.trim().split('\n').at(-1)?.slice(-300);
  return `the file server of share ${tags[index]} ended${words ? `: ${words}` : ''}`;
}
