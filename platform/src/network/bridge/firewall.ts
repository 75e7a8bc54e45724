/**
 * The instance's own nftables rules: what may leave a tap, what Pods may ask of the host, what may be forwarded, NAT.
 *
 * Owns the tables sampan_TAG of the families ip and bridge. Tables of others are foreign-firewall.ts's. In nftables a packet has to
 * be accepted by every table, so a drop here is final while an accept is not.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Logger } from '../../base/log.ts';
import { Coalescer } from './coalesce.ts';
import { CommandShell } from './command-shell.ts';
import type { DeviceNames } from './names.ts';

export interface FirewallRules {
  names: DeviceNames;
  /** a.b.c.d/n */
  subnet: string;
  gateway: string;
  /** TCP ports of the gateway address that Pods may connect to, beside DNS. */
  allowHostPorts: number[];
  /** Where connections to the gateway's port 443 go (https://kubernetes.default.svc); one of allowHostPorts. */
  redirectHttpsTo?: number;
  /** Where questions to the gateway's port 53 go, which somebody else has; absent: the resolver listens there itself. */
  dnsPort?: number;
  /** Rules of the chain of host ports (host-port-rules.ts). */
  hostPortRules?: string[];
}

/** One tap and the only sender addresses that may come out of it. */
export interface Binding {
  tapName: string;
  mac: string;
  address: string;
}

/** Replaces whatever stood in the table before, in one transaction: running Pods see no gap. */
function replaceTable(family: string, table: string, body: string): string {
  return `table ${family} ${table}\ndelete table ${family} ${table}\ntable ${family} ${table} {\n${body}\n}\n`;
}

function routingRules(rules: FirewallRules): string {
  const { subnet, gateway } = rules;
  const bridge = rules.names.bridge;
  const dnsPort = rules.dnsPort ?? 53;
  const hostPorts = [...new Set([dnsPort, ...rules.allowHostPorts])].join(', ');
  // Also of the host itself, whose Pods without a network of their own ask there too.
  const toResolver =
    dnsPort === 53 ? '' : `ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 dnat to ${gateway}:${dnsPort}`;
  const redirect = rules.redirectHttpsTo
    ? `iifname "${bridge}" ip daddr ${gateway} tcp dport 443 redirect to :${rules.redirectHttpsTo}`
    : '';
  return replaceTable(
    'ip',
    rules.names.table,
    `
  chain host_ports {
    ${(rules.hostPortRules ?? []).join('\n    ')}
  }
  chain to_services {
    type nat hook prerouting priority dstnat
    ${redirect}
    ${toResolver}
    fib daddr type local jump host_ports
  }
  chain from_host {
    type nat hook output priority -100
    ${toResolver}
    fib daddr type local jump host_ports
  }
  chain nat {
    type nat hook postrouting priority srcnat
    oifname "${bridge}" ip saddr { ${subnet}, 127.0.0.0/8 } ct status dnat masquerade
    ip saddr ${subnet} ip daddr != ${subnet} oifname != "${bridge}" masquerade
  }
  chain host {
    type filter hook input priority filter
    iifname != { "${bridge}", "lo" } ip daddr ${subnet} drop
    iifname != "${bridge}" accept
    ct state established,related accept
    ip daddr ${gateway} udp dport ${dnsPort} accept
    ip daddr ${gateway} tcp dport { ${hostPorts} } accept
    ip daddr ${gateway} icmp type echo-request accept
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain between {
    type filter hook forward priority filter
    iifname "${bridge}" oifname "${bridge}" accept
    oifname "${bridge}" ct state established,related accept
    oifname "${bridge}" ct status dnat accept
    oifname "${bridge}" drop
    iifname "${bridge}" ip saddr != ${subnet} drop
    iifname "${bridge}" ip daddr 169.254.0.0/16 reject
  }`,
  );
}

/** Nothing but IPv4 and ARP leaves a tap, and only from the addresses its Pod was given. No need of nft's bridge meta. */
function spoofingRules(names: DeviceNames, bindings: Binding[]): string {
  const elements = bindings.length > 0 ? `elements = { ${bindings.map(elementOf).join(', ')} }` : '';
  return replaceTable(
    'bridge',
    names.table,
    `
  set senders {
    type ifname . ether_addr . ipv4_addr
    ${elements}
  }
  chain from_taps {
    type filter hook prerouting priority filter
    iifname != "${names.tapPrefix}*" accept
    ether type ip iifname . ether saddr . ip saddr @senders accept
    ether type arp iifname . ether saddr . arp saddr ip @senders iifname . arp saddr ether . arp saddr ip @senders accept
    drop
  }`,
  );
}

const elementOf = ({ tapName, mac, address }: Binding): string => `"${tapName}" . ${mac} . ${address}`;

const shell = new CommandShell();

/** One transaction. Throws InternalError with nft's words. */
async function nft(input: string): Promise<void> {
  const { code, output } = await shell.run('nft -f -', input);
  if (code !== 0) throw new SampanError('InternalError', `nft failed (exit ${code}): ${output.trim().slice(0, 500)}`);
}

export class Firewall {
  readonly #rules: FirewallRules;
  readonly #log: Logger;
  readonly #batches = new Coalescer<string>(applyEach);
  #spoofing = true;

  constructor(rules: FirewallRules, log: Logger) {
    this.#rules = rules;
    this.#log = log;
  }

  /** Puts all rules in place, whatever was there. Without nft's bridge family Pods can forge addresses: said once, not fatal. */
  async start(bindings: Binding[], hostPortRules: string[] = []): Promise<void> {
    await nft(routingRules({ ...this.#rules, hostPortRules }));
    try {
      await nft(spoofingRules(this.#rules.names, bindings));
      this.#spoofing = true;
    } catch (error) {
      this.#spoofing = false;
      this.#log.warn(
        { error: messageOf(error) },
        'this kernel has no nftables bridge family with concatenated sets: Pods of this host can forge sender addresses among themselves',
      );
    }
  }

  /** Replaces all of them, in one transaction. */
  async setHostPorts(hostPortRules: string[]): Promise<void> {
    const chain = `ip ${this.#rules.names.table} host_ports`;
    await nft([`flush chain ${chain}`, ...hostPortRules.map((rule) => `add rule ${chain} ${rule}`), ''].join('\n'));
  }

  async bind(binding: Binding): Promise<void> {
    if (!this.#spoofing) return;
    await this.#batches.run(`add element bridge ${this.#rules.names.table} senders { ${elementOf(binding)} }\n`);
  }

  /** Idempotent: nft has no "delete if there", but adding what is there is no error. */
  async unbind(binding: Binding): Promise<void> {
    if (!this.#spoofing) return;
    const what = `element bridge ${this.#rules.names.table} senders { ${elementOf(binding)} }\n`;
    await this.#batches.run(`add ${what}delete ${what}`);
  }

  async remove(): Promise<void> {
    const { table } = this.#rules.names;
    await nft(`table ip ${table}\ndelete table ip ${table}\n`);
    if (this.#spoofing) await nft(`table bridge ${table}\ndelete table bridge ${table}\n`);
  }
}

/** A transaction fails as a whole, so after a failure each goes alone to learn whose it was. */
async function applyEach(items: string[]): Promise<(Error | undefined)[]> {
  try {
    await nft(items.join(''));
    return items.map(() => undefined);
  } catch (error) {
    if (items.length === 1) return [error as Error];
    const errors: (Error | undefined)[] = [];
    for (const item of items) errors.push((await applyEach([item]))[0]);
    return errors;
  }
}
