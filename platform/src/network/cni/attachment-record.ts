/**
 * What an attachment was made with and came to, as a file of its own: written before ADD, so that DEL can be run after any crash, and again
 * after it. Owns <run>/network/cni/ID.json.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/files.ts';
import { chainSchema } from './cni-config.ts';
import { resultSchema } from './cni-result.ts';

const text = z.string().max(4096);
const address = z.object({ address: text, prefixLength: z.number().int(), gateway: text.optional() });

const attachmentSchema = z.object({
  sandboxId: text,
  tapName: text.optional(),
  netnsPath: text.optional(),
  mac: text,
  ipv4: address,
  ipv6: address.optional(),
  moreAddresses: z.array(address.omit({ gateway: true })).optional(),
  routes: z.array(z.object({ destination: text, gateway: text.optional() })).optional(),
  mtu: z.number().int(),
  nameservers: z.array(text),
  dns: z.object({ searches: z.array(text), options: z.array(text) }).optional(),
});

const recordSchema = z.object({
  format: z.literal(1),
  sandboxId: z.string().regex(/^[a-zA-Z0-9][\w.-]{0,127}$/),
  /** Our name of the namespace. */
  netnsPath: text,
  /** Whose it is, where it was given; absent: ours. */
  boundFrom: text.optional(),
  chain: chainSchema,
  /** Where its plugins are. */
  path: z.array(text).min(1).max(64),
  args: text,
  capabilities: z.record(z.string(), z.unknown()),
  portMappings: z
    .array(
      z.object({
        protocol: z.enum(['tcp', 'udp', 'sctp']),
        containerPort: z.number(),
        hostPort: z.number(),
        hostIp: text.optional(),
      }),
    )
    .max(1024),
  /** Of the last plugin whose ADD has succeeded. */
  result: resultSchema.optional(),
  /** Once everything is there. */
  attachment: attachmentSchema.optional(),
});

export type AttachmentRecord = z.infer<typeof recordSchema>;

/** Throws Invalid when the id cannot be a file's name. */
function pathOf(directory: string, sandboxId: string): string {
  if (!recordSchema.shape.sandboxId.safeParse(sandboxId).success)
    throw new SampanError('Invalid', `"${sandboxId}" is no id of a sandbox`);
  return join(directory, `${sandboxId}.json`);
}

export async function writeRecord(directory: string, record: AttachmentRecord): Promise<void> {
  const path = pathOf(directory, record.sandboxId);
  await writeFileAtomic(path, JSON.stringify(record), { durable: false });
}

export const removeRecord = (directory: string, sandboxId: string): Promise<void> =>
  rm(pathOf(directory, sandboxId), { force: true });

/** Every record; a file that is none is left alone and named in `broken`. */
export async function readRecords(directory: string): Promise<{ records: AttachmentRecord[]; broken: string[] }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const records: AttachmentRecord[] = [];
  const broken: string[] = [];
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.json')) continue;
    try {
      records.push(recordSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8'))));
    } catch {
      broken.push(name);
    }
  }
  return { records, broken };
}
