/** `machine.json` in the directory of a machine on the host: what finds it again after its server is gone. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/files.ts';
import { maxShares } from '../vmm.ts';

const schema = z.object({
  format: z.literal(1),
  /** Tells it from a VMM's record (machine-driver.ts). */
  driver: z.literal('namespace'),
  id: z.string().min(1).max(253),
  shape: z.object({ vcpus: z.number().int().positive(), memoryMib: z.number().int().positive() }),
  /** starting: create has not finished; a server that finds this one has nothing to adopt. */
  state: z.enum(['starting', 'running']),
  cgroups: z.array(z.string().startsWith('/')).max(32),
  /** What they are beneath was made for them alone. */
  ownsCgroupParent: z.boolean().optional(),
  /** Of one container, apart from the machine's own. */
  containerCgroups: z.array(z.string().startsWith('/')).max(32).optional(),
  /** Slots with a disk. */
  slots: z.array(z.string()).max(16),
  shares: z
    .array(z.object({ tag: z.string(), directory: z.string().startsWith('/') }))
    .max(maxShares)
    .optional(),
  /** The file of the one disk that is this machine's alone. */
  scratchPath: z.string().optional(),
});

export type MachineRecord = z.infer<typeof schema>;

/** Not fsynced: the directory is in memory. */
export async function writeMachineRecord(directory: string, record: MachineRecord): Promise<void> {
  const path = join(directory, 'machine.json');
  await writeFileAtomic(path, `${JSON.stringify(record)}\n`, { mode: 0o600, durable: false });
}

/** Undefined when there is none, or one that makes no sense. */
export async function readMachineRecord(directory: string): Promise<MachineRecord | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(join(directory, 'machine.json'), 'utf8')));
  } catch {
    return undefined;
  }
}
