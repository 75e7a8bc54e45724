/**
 * The first form of the network: one flat bridge per instance, NAT to the host's network, a resolver on the gateway address.
 *
 * Owns the bridge sam-TAG, taps and veths sTAG-*, nft tables sampan_TAG, <run>/network. Several instances stand side by side in one host.
 * Does not own net.ipv4.ip_forward: it is switched on and stays on, since others may have come to rely on it.
 *
 *   new ──start──▶ up ──close──▶ closed (Pods go on; start() of the next server converges)
 *                   └──teardown (nothing attached)──▶ gone
 *
 * A lease file is an attachment; taps without one are removed by start(), and attach() makes what is missing.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { checkListeners, checkMappings, type MappedPorts } from '../host-ports.ts';
import { checkNetnsPath } from '../netns.ts';
import type { Attachment, AttachRequest, Network } from '../network.ts';
import { refuseMode } from '../refuse-mode.ts';
import { createResolver, type Resolver } from '../resolver/resolver.ts';
import { claimSubnet, gatewayOf, withHostLock } from './claim.ts';
import { type Binding, Firewall } from './firewall.ts';
import { closeForeignFirewalls, openForeignFirewalls } from './foreign-firewall.ts';
import { hostPortRules } from './host-port-rules.ts';
import { type Lease, Leases } from './leases.ts';
import { addressesOf, changeLinks, deviceList, uplinkMtu } from './links.ts';
import { type DeviceNames, deviceNames, macOf, tapName } from './names.ts';
import { contains, formatAddress, formatSubnet, parseAddress, type Subnet } from './subnet.ts';
import { makeVeth } from './veth.ts';

export interface BridgeNetworkOptions {
  /** The instance's run directory; <run>/network is this driver's. */
  run: string;
  /** Tells this instance's devices from others'; 1 to 7 of 0-9a-z. */
  tag: string;
  log: Logger;
  /** Pod subnet; default: a free /16 of 10.64.0.0/10. */
  subnet?: string;
  /** Default cluster.local. */
  clusterDomain?: string;
  /** Addresses of further names inside the cluster domain (services, Pods with a subdomain). */
  lookupPod?: (name: string) => string[] | undefined;
  /** TCP ports of the gateway address that Pods may reach: the API server's. */
  allowHostPorts?: number[];
  /** One of allowHostPorts that also answers on the gateway's port 443. */
  redirectHttpsTo?: number;
  clock?: Clock;
}

/** How often the firewalls of others are looked at: Docker may be installed while Pods run. */
const foreignFirewallPeriodMs = 30_000;

interface Up {
  subnet: Subnet;
  mtu: number;
  leases: Leases;
  firewall: Firewall;
  resolver: Resolver;
}

export async function createBridgeNetwork(options: BridgeNetworkOptions): Promise<Network> {
  return new BridgeNetwork(options);
}

class BridgeNetwork implements Network {
  readonly #options: BridgeNetworkOptions;
  readonly #clock: Clock;
  readonly #names: DeviceNames;
  readonly #directory: string;
  readonly #serial = new SerialByKey();
  readonly #stop = new AbortController();
  #up: Up | undefined;

  constructor(options: BridgeNetworkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#names = deviceNames(options.tag);
    this.#directory = join(options.run, 'network');
  }

  start(): Promise<void> {
    return this.#serial.run('start', async () => {
      this.#up ??= await withHostLock(this.#clock, () => this.#bringUp());
    });
  }

  async #bringUp(): Promise<Up> {
    const { tag, log } = this.#options;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const claim = { directory: this.#directory, tag, names: this.#names, subnet: this.#options.subnet };
    const subnet = await claimSubnet(claim);
    const leases = Leases.open(this.#directory, subnet);
    const mtu = await this.#bringUpBridge(subnet);
    await this.#removeStrayTaps(subnet, leases);
    const gateway = formatAddress(gatewayOf(subnet));
    const { allowHostPorts = [], redirectHttpsTo } = this.#options;
    // Its port is one of the firewall's rules.
    const resolver = await this.#startResolver(subnet, leases);
    const rules = { names: this.#names, subnet: formatSubnet(subnet), gateway, allowHostPorts, redirectHttpsTo };
    const firewall = new Firewall({ ...rules, dnsPort: resolver.port }, log);
    const bindings = leases.all().map((lease) => this.#bindingOf(subnet, lease));
    try {
      await firewall.start(bindings, hostPortRules(mappedPorts(leases)));
      await openForeignFirewalls(this.#names);
    } catch (error) {
      await resolver.close();
      throw error;
    }
    void this.#watchForeignFirewalls();
    log.info(
      { bridge: this.#names.bridge, subnet: formatSubnet(subnet), leases: leases.all().length },
      'network is up',
    );
    return { subnet, mtu, leases, firewall, resolver };
  }

  /** A fixed MAC, or the bridge would take that of its lowest port and change it under the Pods' ARP tables. */
  async #bringUpBridge(subnet: Subnet): Promise<number> {
    const bridge = this.#names.bridge;
    const gateway = gatewayOf(subnet);
    const mac = macOf(this.#options.tag, gateway);
    const present = (await deviceList()).has(bridge);
    const mtu = await uplinkMtu();
    const address = `${formatAddress(gateway)}/${subnet.prefixLength}`;
    const others = present ? (await addressesOf(bridge)).filter((other) => other !== address) : [];
    try {
      await changeLinks([
        ...(present ? [] : [`link add name ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`]),
        `link set dev ${bridge} address ${mac} mtu ${mtu}`,
        ...others.map((other) => `address delete ${other} dev ${bridge}`),
        `address replace ${address} dev ${bridge}`,
        `link set dev ${bridge} up`,
      ]);
    } catch (error) {
      const message = `cannot make the bridge ${bridge}: ${messageOf(error)}; it needs root, iproute2 and the kernel's bridge module (./sampan doctor)`;
      throw new SampanError('FailedPrecondition', message, {}, { cause: error });
    }
    await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
    await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/send_redirects`, '0');
    // Connections to a host port on 127.0.0.1 leave by the bridge; what Pods send to such addresses the firewall rejects.
    await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1');
    await writeFile(`/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`, '1').catch(() => {});
    return mtu;
  }

  /** Taps of a server that died between detaching and forgetting. */
  async #removeStrayTaps(subnet: Subnet, leases: Leases): Promise<void> {
    const owned = new Set(leases.all().map((lease) => this.#bindingOf(subnet, lease).tapName));
    const stray = [...(await deviceList())].filter(
      (name) => name.startsWith(this.#names.tapPrefix) && !owned.has(name),
    );
    if (stray.length > 0) await changeLinks(stray.map((name) => `link delete dev ${name}`));
  }

  #startResolver(subnet: Subnet, leases: Leases): Promise<Resolver> {
    const { clusterDomain = 'cluster.local', lookupPod, log } = this.#options;
    return createResolver({
      address: formatAddress(gatewayOf(subnet)),
      elsewhereIfTaken: true,
      clusterDomain,
      isPod: (address, namespace) => leases.ofAddress(parseAddress(address))?.podNamespace === namespace,
      ownsReverse: (address) => contains(subnet, parseAddress(address)),
      lookup: lookupPod ?? (() => undefined),
      log,
      clock: this.#clock,
    });
  }

  async #watchForeignFirewalls(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#clock.sleep(foreignFirewallPeriodMs, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      await openForeignFirewalls(this.#names).catch((error) =>
        this.#options.log.warn({ error: messageOf(error) }, 'cannot look after the firewalls of others'),
      );
    }
  }

  attach(request: AttachRequest): Promise<Attachment> {
    return this.#serial.run(request.sandboxId, async () => {
      refuseMode(request);
      const up = this.#running('attach');
      const known = up.leases.ofSandbox(request.sandboxId);
      const lease = known ?? (await this.#newLease(up, request));
      const binding = this.#bindingOf(up.subnet, lease);
      const isThere = known && (await deviceList()).has(binding.tapName);
      if (isThere && !lease.netnsPath) return this.#attachmentOf(up, lease);
      try {
        await Promise.all([
          lease.netnsPath ? this.#makeVeth(up, lease, lease.netnsPath) : this.#makeTap(binding, up.mtu),
          up.firewall.bind(binding),
          lease.portMappings?.length ? this.#openHostPorts(up) : undefined,
        ]);
      } catch (error) {
        // What cannot be undone now stays leased, so list() names it and detach can finish.
        if (!known) await this.#undo(up, lease).catch(() => {});
        throw error;
      }
      return this.#attachmentOf(up, lease);
    });
  }

  /** Its host ports are asked for and taken in one turn, so that two Pods cannot both find one free. */
  #newLease(up: Up, request: AttachRequest): Promise<Lease> | Lease {
    const { sandboxId, netnsPath, portMappings = [] } = request;
    if (netnsPath) checkNetnsPath(netnsPath);
    if (portMappings.length === 0) return up.leases.take(request);
    return this.#serial.run('host-ports', async () => {
      checkMappings({ sandboxId, portMappings }, mappedPorts(up.leases));
      await checkListeners(portMappings);
      return up.leases.take(request);
    });
  }

  #openHostPorts(up: Up): Promise<void> {
    return this.#serial.run('host-ports', () => up.firewall.setHostPorts(hostPortRules(mappedPorts(up.leases))));
  }

  #makeVeth(up: Up, lease: Lease, netnsPath: string): Promise<void> {
    const { tapName: hostDevice, mac, address } = this.#bindingOf(up.subnet, lease);
    return makeVeth({
      ...{ hostDevice, bridge: this.#names.bridge, netnsPath, mac, mtu: up.mtu },
      address: `${address}/${up.subnet.prefixLength}`,
      gateway: formatAddress(gatewayOf(up.subnet)),
    });
  }

  /** Persistent, and with the header that the VMM's open (IFF_VNET_HDR) has to find. */
  #makeTap({ tapName }: Binding, mtu: number): Promise<void> {
    const mtuWords = mtu === 1500 ? '' : ` mtu ${mtu}`;
    return changeLinks([
      `tuntap add dev ${tapName} mode tap vnet_hdr`,
      `link set dev ${tapName} master ${this.#names.bridge} up${mtuWords}`,
    ]);
  }

  detach(sandboxId: string): Promise<void> {
    return this.#serial.run(sandboxId, async () => {
      const up = this.#running('detach');
      const lease = up.leases.ofSandbox(sandboxId);
      if (lease) await this.#undo(up, lease);
    });
  }

  /** The lease goes last: until then list() names the sandbox and detach finishes the work. */
  async #undo(up: Up, lease: Lease): Promise<void> {
    const binding = this.#bindingOf(up.subnet, lease);
    const present = (await deviceList()).has(binding.tapName);
    await Promise.all([present ? this.#removeLink(binding.tapName) : undefined, up.firewall.unbind(binding)]);
    if (!lease.portMappings?.length) return up.leases.release(lease);
    await this.#serial.run('host-ports', async () => {
      const others = mappedPorts(up.leases).filter((one) => one.sandboxId !== lease.sandboxId);
      await up.firewall.setHostPorts(hostPortRules(others));
      up.leases.release(lease);
    });
  }

  /** A veth may go at any moment with the namespace its other end is in. */
  async #removeLink(name: string): Promise<void> {
    try {
      await changeLinks([`link delete dev ${name}`]);
    } catch (error) {
      if ((await deviceList()).has(name)) throw error;
    }
  }

  async list(): Promise<Attachment[]> {
    const up = this.#running('list');
    return up.leases.all().map((lease) => this.#attachmentOf(up, lease));
  }

  hostAddress(): string {
    return formatAddress(gatewayOf(this.#running('hostAddress').subnet));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const up = this.#up;
    this.#up = undefined;
    await up?.resolver.close();
  }

  async teardown(): Promise<void> {
    await this.start();
    const up = this.#running('teardown');
    const attached = up.leases.all().length;
    if (attached > 0) {
      const message = `the network ${this.#names.bridge} cannot be torn down: ${attached} sandboxes are attached; detach them first`;
      throw new SampanError('FailedPrecondition', message);
    }
    await this.close();
    await closeForeignFirewalls(this.#names);
    await changeLinks([`link delete dev ${this.#names.bridge}`]);
    await up.firewall.remove();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #running(wanted: string): Up {
    if (this.#up) return this.#up;
    throw new SampanError('FailedPrecondition', `the network ${this.#names.bridge} is not started; wanted ${wanted}`);
  }

  #bindingOf(subnet: Subnet, lease: Lease): Binding {
    return {
      tapName: tapName(this.#names, lease.address - subnet.base),
      mac: macOf(this.#options.tag, lease.address),
      address: formatAddress(lease.address),
    };
  }

  #attachmentOf(up: Up, lease: Lease): Attachment {
    const { tapName: tap, mac, address } = this.#bindingOf(up.subnet, lease);
    const gateway = formatAddress(gatewayOf(up.subnet));
    const ipv4 = { address, prefixLength: up.subnet.prefixLength, gateway };
    const place = lease.netnsPath ? { netnsPath: lease.netnsPath } : { tapName: tap };
    return { sandboxId: lease.sandboxId, ...place, mac, ipv4, mtu: up.mtu, nameservers: [gateway] };
  }
}

const mappedPorts = (leases: Leases): (MappedPorts & { address: string })[] =>
  leases
    .all()
    .flatMap(({ sandboxId, address, portMappings }) =>
      portMappings?.length ? [{ sandboxId, address: formatAddress(address), portMappings }] : [],
    );
