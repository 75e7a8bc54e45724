/** A host whose Pods' network is a chain of Debian's CNI plugins, for tests: configuration, addresses in use and records in one directory. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/base/child.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type CniNetworkOptions, createCniNetwork } from '../../src/network/cni/cni-network.ts';
import type { Network } from '../../src/network/network.ts';

/** Debian's containernetworking-plugins. */
export const pluginDirectory = '/usr/lib/cni';
const bridgeName = 'cni-lab';

const missingPlugins = (): string | undefined =>
  existsSync(join(pluginDirectory, 'portmap')) ? undefined : 'needs containernetworking-plugins';

/** Why this machine cannot run these tests, or undefined. */
export function missingForCni(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  for (const tool of ['unshare', 'nsenter', 'ip', 'tc', 'iptables', 'perl'])
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `needs ${tool}`;
  if (spawnSync('unshare', ['--net', '--mount', 'true']).status !== 0)
    return 'this kernel allows no network namespaces';
  return missingPlugins();
}

export interface CniLab extends AsyncDisposable {
  home: string;
  network: Network;
  options: CniNetworkOptions;
  /** Another object over the same state, not started. */
  restarted(): Promise<Network>;
  /** Addresses that host-local has given away. */
  addressesInUse(): Promise<string[]>;
  /** Everything on this host that belongs to a Pod: devices, rules, records, namespaces, addresses. */
  leftovers(): Promise<string[]>;
}

export interface LabOptions extends Partial<CniNetworkOptions> {
  /** Range of IPv4 addresses; default 10.88.0.0/16. */
  range?: { subnet: string; rangeStart?: string; rangeEnd?: string };
  /** Further plugins at the end of the chain. */
  more?: object[];
  /** New devices ask their link whether their IPv6 addresses are free, as every host's do; it takes a second or two. Default: no. */
  asksForAddresses?: boolean;
}

export async function newCniLab(labOptions: LabOptions = {}): Promise<CniLab> {
  const { range, more = [], asksForAddresses = false, ...options } = labOptions;
  for (const devices of ['all', 'default'])
    await writeFile(`/proc/sys/net/ipv6/conf/${devices}/accept_dad`, asksForAddresses ? '1' : '0');
  // An address of the host's own, as every host has one.
  await run('ip', 'link set dev lo up'.split(' '));
  await run('ip', 'address replace 192.0.2.1/24 dev lo'.split(' '));
  const home = await mkdtemp(join(tmpdir(), 'sampan-cni-'));
  const config = join(home, 'net.d');
  await mkdir(config);
  await writeFile(
    join(config, '10-lab.conflist'),
    JSON.stringify(chainOf(home, range ?? { subnet: '10.88.0.0/16' }, more)),
  );
  const all: CniNetworkOptions = {
    ...{ run: home, log: silentLogger, configDirectory: config, pluginDirectories: [pluginDirectory] },
    ...options,
  };
  const made: Network[] = [];
  const restarted = async () => {
    const network = await createCniNetwork(all);
    made.push(network);
    return network;
  };
  const addressesInUse = async () => {
    const names = await readdir(join(home, 'ipam/lab')).catch((): string[] => []);
    return names.filter((name) => !/^(lock|last_reserved_ip)/.test(name));
  };
  const network = await restarted();
  await network.start();
  return {
    ...{ home, network, options: all, restarted, addressesInUse },
    leftovers: async () => [
      ...(await addressesInUse()),
      ...(await readdir(join(home, 'netns')).catch((): string[] => [])),
      ...(await readdir(join(home, 'network/cni')).catch((): string[] => [])),
      ...(await podLinks()),
      ...(await podRules()),
    ],
    [Symbol.asyncDispose]: async () => {
      for (const one of made) await one.close();
      const last = await restarted();
      await last.start();
      await Promise.all((await last.list()).map(({ sandboxId }) => last.detach(sandboxId)));
      await last.teardown();
      await run('ip', ['link', 'delete', 'dev', bridgeName], { okCodes: [0, 1] });
      await rm(home, { recursive: true, force: true });
    },
  };
}

const chainOf = (home: string, range: object, more: object[]) => ({
  cniVersion: '1.0.0',
  name: 'lab',
  plugins: [
    {
      ...{ type: 'bridge', bridge: bridgeName, isGateway: true, ipMasq: true, hairpinMode: true },
      ipam: {
        ...{ type: 'host-local', dataDir: join(home, 'ipam') },
        ranges: [[range], [{ subnet: 'fd88::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
      dns: { nameservers: ['10.88.0.1'], search: ['lab.example'], options: ['ndots:2'] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall' },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    ...more,
  ],
});

async function podLinks(): Promise<string[]> {
  const { stdout } = await run('ip', ['-o', 'link', 'show']);
  return [...stdout.matchAll(/^\d+: ((?:veth|bwp)[^:@]*)/gm)].map((match) => match[1] ?? '');
}

/** Rules that name an address of a Pod: the plugins' own chains stay, as they do under any other runtime. */
async function podRules(): Promise<string[]> {
  const saved = await Promise.all(['iptables-save', 'ip6tables-save'].map((command) => run(command, [])));
  return saved.flatMap(({ stdout }) =>
    stdout.split('\n').filter((line) => /10\.88\.\d+\.([2-9]|\d\d+)|fd88::[2-9a-f]/.test(line)),
  );
}
