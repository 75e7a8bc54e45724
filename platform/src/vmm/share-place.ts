/** In a share's directory, the place over which a part of the host's tree is mounted: a directory for a directory, a file for a file. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { ShareMount } from './vmm.ts';

/** Idempotent. `kernel`: whose the machine's is; sockets, FIFOs and devices are of one kernel. Throws NotFound, Unsupported. */
export async function makeSharePlace(
  directory: string,
  { name, hostPath }: ShareMount,
  kernel: 'own' | 'host' = 'own',
): Promise<void> {
  const place = join(directory, name);
  const kind = await stat(hostPath).catch((error: NodeJS.ErrnoException) => {
    throw new SampanError('NotFound', `${hostPath} cannot be mounted: ${error.code}`);
  });
  if (kind.isDirectory()) await mkdir(place, { recursive: true, mode: 0o755 });
  else if (kind.isFile() || kernel === 'host') await writeFile(place, '', { flag: 'a', mode: 0o644 });
  else
    throw new SampanError(
      'Unsupported',
      `${hostPath} is neither a directory nor a file: a socket or device means nothing to another kernel; the handler namespace has the host's`,
    );
}
