/** `machine.json` in a machine's directory: what finds the machine again after its server is gone. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/files.ts';
import { maxShares } from '../vmm.ts';

const schema = z.object({
  format: z.literal(1),
  id: z.string().min(1).max(253),
  shape: z.object({ vcpus: z.number().int().positive(), memoryMib: z.number().int().positive() }),
  origin: z.enum(['template', 'cold']),
  /** starting: create has not finished; a server that finds this one has nothing to adopt. */
  state: z.enum(['starting', 'running']),
  uid: z.number().int().positive(),
  cgroups: z.array(z.string().startsWith('/')).max(8),
  /** What they are beneath was made for them alone. */
  ownsCgroupParent: z.boolean().optional(),
  /** Slots with a disk. */
  slots: z.array(z.string()).max(16),
  /** Each has a server with files shareN and shareN.log beside this one. */
  shares: z
    .array(z.object({ tag: z.string(), directory: z.string().startsWith('/') }))
    .max(maxShares)
    .optional(),
  cpuLimit: z.object({ millicores: z.number().positive(), fromMs: z.number() }),
});

export type MachineRecord = z.infer<typeof schema>;

const path = (directory: string) => join(directory, 'machine.json');

/** Not fsynced: the directory is in memory. */
export async function writeMachineRecord(directory: string, record: MachineRecord): Promise<void> {
  await writeFileAtomic(path(directory), `${JSON.stringify(record)}\n`, { mode: 0o600, durable: false });
}

/** Undefined when there is none, or one that makes no sense. */
export async function readMachineRecord(directory: string): Promise<MachineRecord | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path(directory), 'utf8')));
  } catch {
    return undefined;
  }
}
