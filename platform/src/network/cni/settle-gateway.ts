/**
 * Waits until the Pod's IPv6 gateway answers. Where it is an address of this host on a device that came up with its first port (the plugin bridge), the
 * kernel first asks the link for a second or two whether somebody else has it (duplicate address detection, RFC 4862), and until then nobody can use it:
 * neither the Pod to get out nor the host to reach the Pod.
 */
import { z } from 'zod';
import { run } from '../../base/child.ts';
import type { Clock } from '../../base/clock.ts';

/** The kernel's longest: a second's chance delay, then one probe of a second. */
const longestMs = 3_000;
const pollMs = 50;

const addressesSchema = z.array(
  z.looseObject({ addr_info: z.array(z.looseObject({ local: z.string().optional() })).optional() }),
);

/** False when it is asked for still after all that time: somebody else has it, which the kernel's log tells. */
export async function settleGateway(gateway: string, clock: Clock): Promise<boolean> {
  for (const until = clock.monotonicMs() + longestMs; clock.monotonicMs() < until; await clock.sleep(pollMs))
    if (!(await tentative()).includes(gateway)) return true;
  return false;
}

/** Addresses of this host that nobody can use yet, as iproute2 writes them. */
async function tentative(): Promise<string[]> {
  const { stdout } = await run('ip', ['-6', '-j', 'address', 'show', 'tentative']);
  const links = addressesSchema.parse(JSON.parse(stdout || '[]'));
  return links.flatMap(({ addr_info = [] }) => addr_info.map(({ local = '' }) => local));
}
