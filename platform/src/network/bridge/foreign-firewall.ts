/**
 * Firewalls of others that would drop what Pods send: Docker and ufw set the FORWARD chain of iptables to DROP, and an accept in
 * our own table does not overrule that. Owns the rules it marks with the instance's table name in chains of others, nothing else.
 */
import { isReason } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';
import { readTextIfExists } from '../../base/files.ts';
import type { DeviceNames } from './names.ts';

/** Lets the bridge's packets through the chains that are there now. Idempotent; our own table says what is really allowed. */
export async function openForeignFirewalls(names: DeviceNames): Promise<void> {
  const rules = await nftForwardRules();
  if (rules && !rules.some((rule) => rule.comment === names.table)) {
    const line = (match: string) =>
      `insert rule ip filter FORWARD ${match} "${names.bridge}" counter accept comment "${names.table}"\n`;
    await run('nft', ['-f', '-'], { input: line('iifname') + line('oifname') });
  }
  for (const args of await legacyRules(names)) {
    const present = await run('iptables-legacy', ['-w', '-C', ...args], { okCodes: [0, 1] });
    if (present.code === 1) await run('iptables-legacy', ['-w', '-I', ...args]);
  }
}

export async function closeForeignFirewalls(names: DeviceNames): Promise<void> {
  const ours = ((await nftForwardRules()) ?? []).filter((rule) => rule.comment === names.table);
  const input = ours.map((rule) => `delete rule ip filter FORWARD handle ${rule.handle}\n`).join('');
  if (input) await run('nft', ['-f', '-'], { input });
  for (const args of await legacyRules(names)) {
    await run('iptables-legacy', ['-w', '-D', ...args], { okCodes: [0, 1] });
  }
}

const listingSchema = z.object({
  nftables: z.array(
    z.looseObject({ rule: z.looseObject({ handle: z.number().int(), comment: z.string().optional() }).optional() }),
  ),
});

/** Rules of the FORWARD chain as iptables-nft keeps it; undefined where there is none. Works without an iptables command. */
async function nftForwardRules(): Promise<{ handle: number; comment?: string }[] | undefined> {
  const listing = await run('nft', ['-j', 'list', 'chain', 'ip', 'filter', 'FORWARD'], {
    okCodes: [0, 1],
    maxOutputBytes: 16 << 20,
  });
  if (listing.code !== 0) return undefined;
  return listingSchema.parse(JSON.parse(listing.stdout)).nftables.flatMap(({ rule }) => (rule ? [rule] : []));
}

/** Only where the legacy tables are in use: asking iptables-legacy would create them. */
async function legacyRules(names: DeviceNames): Promise<string[][]> {
  const tables = await readTextIfExists('/proc/self/net/ip_tables_names');
  if (!tables?.split('\n').includes('filter')) return [];
  try {
    await run('iptables-legacy', ['--version']);
  } catch (error) {
    if (isReason(error, 'FailedPrecondition')) return [];
    throw error;
  }
  const mark = ['-m', 'comment', '--comment', names.table, '-j', 'ACCEPT'];
  return [
    ['FORWARD', '-i', names.bridge, ...mark],
    ['FORWARD', '-o', names.bridge, ...mark],
  ];
}
