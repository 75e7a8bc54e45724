/** Which driver a machine's directory belongs to: machines of several drivers stand side by side, and a destroyer may not know whose one is. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Records of QEMU machines are older than the field. */
const schema = z.looseObject({ driver: z.string().default('qemu') });

/** False where there is no record, or one that makes no sense: then it is whoever's finds it first. */
export async function isAnothers(directory: string, driver: string): Promise<boolean> {
  try {
    return schema.parse(JSON.parse(await readFile(join(directory, 'machine.json'), 'utf8'))).driver !== driver;
  } catch {
    return false;
  }
}
