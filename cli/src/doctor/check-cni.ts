/** Whether the CNI network that Pods would get is there: its configuration, as far as who runs it is told by it, and its plugins. */
import { access, constants, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Finding } from './finding.ts';

const plugin = z.looseObject({
  type: z.string().max(128),
  ipam: z.looseObject({ type: z.string().max(128) }).optional(),
});
const network = z.union([
  z.looseObject({ name: z.string(), plugins: z.array(plugin).min(1).max(32) }),
  plugin.and(z.looseObject({ name: z.string() })).transform((one) => ({ name: one.name, plugins: [one] })),
]);

/** Looks where SAMPAN_CNI_CONF_DIR and SAMPAN_CNI_BIN_DIR say. */
export async function checkCni(env: NodeJS.ProcessEnv = process.env): Promise<Finding> {
  const directory = env.SAMPAN_CNI_CONF_DIR || '/etc/cni/net.d';
  const path = pluginPath(env);
  const fail = (found: string, mend: string): Finding => ({ check: 'cni', state: 'fail', found, mend });
  const chain = await firstNetwork(directory);
  if (!chain) return fail(`no CNI network in ${directory}`, 'put a .conflist there, or name another --cni-conf-dir');
  const types = [...new Set(chain.plugins.flatMap(({ type, ipam }) => [type, ...(ipam ? [ipam.type] : [])]))];
  const isThere = await Promise.all(types.map((type) => findsPlugin(type, path)));
  const missing = types.filter((_, index) => !isThere[index]);
  const found = `network ${chain.name} of ${directory}: ${types.join(' ')}`;
  if (missing.length === 0) return { check: 'cni', state: 'ok', found };
  const mend = 'install containernetworking-plugins, or name another --cni-bin-dir';
  return fail(`${found}; not in ${path.join(', ')}: ${missing.join(' ')}`, mend);
}

/** What SAMPAN_MACVLAN needs: its parent device, and two plugins. */
export async function checkMacvlan(env: NodeJS.ProcessEnv = process.env): Promise<Finding> {
  const parent = env.SAMPAN_MACVLAN?.split(',')[0] ?? '';
  const devices = await readFile('/proc/self/net/dev', 'utf8');
  const isThere = devices.split('\n').some((line) => line.trim().startsWith(`${parent}:`));
  const path = pluginPath(env);
  const missing: string[] = [];
  for (const type of ['macvlan', 'host-local']) if (!(await findsPlugin(type, path))) missing.push(type);
  const check = 'macvlan';
  if (!isThere)
    return { check, state: 'fail', found: `there is no device ${parent}`, mend: 'name another parent (ip link)' };
  if (missing.length === 0)
    return { check, state: 'ok', found: `${parent}, with the CNI plugins macvlan and host-local` };
  const found = `no CNI plugin ${missing.join(', ')} in ${path.join(', ')}`;
  return { check, state: 'fail', found, mend: 'install containernetworking-plugins, or name another --cni-bin-dir' };
}

const pluginPath = (env: NodeJS.ProcessEnv): string[] =>
  (env.SAMPAN_CNI_BIN_DIR || '/opt/cni/bin:/usr/lib/cni').split(':');

/** The first file by name that is one decides, as for the server. */
async function firstNetwork(directory: string): Promise<z.infer<typeof network> | undefined> {
  const names = (await readdir(directory).catch((): string[] => [])).filter((one) =>
    /\.(conflist|conf|json)$/.test(one),
  );
  for (const name of names.sort())
    try {
      return network.parse(JSON.parse(await readFile(join(directory, name), 'utf8')));
    } catch {
      // The server names its fault when there is no other.
    }
  return undefined;
}

async function findsPlugin(type: string, path: string[]): Promise<boolean> {
  const tried = path.map((directory) =>
    access(join(directory, type), constants.X_OK).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(tried)).includes(true);
}
