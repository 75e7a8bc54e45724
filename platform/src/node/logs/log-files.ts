/** The files of one log: `0.log`, and before it what was rotated away as `0.log.<time>`, oldest first. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface LogFile {
  path: string;
  inode: number;
  size: number;
}

export async function logFiles(path: string): Promise<LogFile[]> {
  const directory = dirname(path);
  const name = basename(path);
  const entries = await readdir(directory).catch((): string[] => []);
  const rotated = entries.filter((entry) => isRotated(entry, name)).sort();
  const files: LogFile[] = [];
  for (const entry of entries.includes(name) ? [...rotated, name] : rotated) {
    const info = await stat(join(directory, entry)).catch(() => undefined);
    if (info?.isFile()) files.push({ path: join(directory, entry), inode: info.ino, size: info.size });
  }
  return files;
}

const isRotated = (entry: string, name: string): boolean =>
  entry.startsWith(`${name}.`) && /^\d{8}-\d{6}(\.\d+)?$/.test(entry.slice(name.length + 1));
