/** The address under which Pods of a network that others make reach this host: that of its default route, else the first that is global. */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';

const routesSchema = z.array(z.looseObject({ prefsrc: z.string().optional(), dev: z.string().optional() }));
const addressesSchema = z.array(
  z.looseObject({
    ifname: z.string(),
    addr_info: z.array(z.looseObject({ local: z.string(), scope: z.string() })).optional(),
  }),
);

/** Throws FailedPrecondition when the host has no address but its loopback's. */
export async function hostAddressOf(): Promise<string> {
  const [route] = routesSchema.parse(await json(['-4', '-j', 'route', 'show', 'default']));
  if (route?.prefsrc) return route.prefsrc;
  const links = addressesSchema.parse(await json(['-4', '-j', 'address', 'show']));
  const global = links.flatMap(({ ifname, addr_info = [] }) =>
    addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => ({ ifname, local })),
  );
  const found = global.find(({ ifname }) => ifname === route?.dev) ?? global[0];
  if (found) return found.local;
  throw new SampanError('FailedPrecondition', 'the host has no IPv4 address that Pods could reach');
}

const json = async (words: string[]): Promise<unknown> => JSON.parse((await run('ip', words)).stdout || '[]');
