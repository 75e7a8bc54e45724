/**
 * The cni driver of network.ts: the sandbox's network comes from any chain of CNI plugins.
 *
 *   attach: record ─▶ namespace ─▶ ADD of every plugin ─▶ record ─▶ tap beside eth0 (machines only) ─▶ record
 *   detach: DEL of every plugin, with what ADD gave ─▶ namespace ─▶ record away
 *
 * Owns <run>/network/cni (records), <run>/netns (namespaces it made, and names of those it was given: plugins look into them at DEL, when the
 * processes in there have ended), the taps in them. Does not own what plugins make (bridges, rules,
 * addresses): they are asked to undo it with the very configuration it was made with, whatever the files say by then. A record without an
 * attachment is one that was never answered: start() undoes it.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { checkListeners, checkMappings } from '../host-ports.ts';
import { bindNetns, checkNetnsPath, isNetns, makeNetns, removeNetns } from '../netns.ts';
import type { Attachment, AttachRequest, Network } from '../network.ts';
import { refuseMode } from '../refuse-mode.ts';
import { createResolver, type Resolver } from '../resolver/resolver.ts';
import { type AttachmentRecord, readRecords, removeRecord, writeRecord } from './attachment-record.ts';
import { capabilitiesOf, cniArgs } from './capabilities.ts';
import { type Chain, loadChain, programsOf } from './cni-config.ts';
import { findPlugin } from './cni-plugin.ts';
import { podAddresses } from './cni-result.ts';
import { hostAddressOf } from './host-address.ts';
import { podNames } from './pod-names.ts';
import {
  addToNetwork,
  type ChainRun,
  checkNetwork,
  collectGarbage,
  networkFaults,
  podInterface,
  removeFromNetwork,
} from './run-chain.ts';
import { settleGateway } from './settle-gateway.ts';
import { linkOf, makeTapBeside, tapDevice } from './tap-beside.ts';

export interface CniNetworkOptions {
  /** The instance's run directory. */
  run: string;
  log: Logger;
  /** Default /etc/cni/net.d. */
  configDirectory?: string;
  /** Default /opt/cni/bin, then /usr/lib/cni. */
  pluginDirectories?: string[];
  /** How taps are joined: 'tc' falls back to 'bridge' by itself. */
  join?: 'tc' | 'bridge';
  /** Names of the cluster are served to Pods, by a resolver of ours on the host's address; absent: Pods ask whom the chain names. */
  clusterNames?: boolean;
  /** The configuration may come after us, as where a Pod of the host's network installs it: start() does without, and fault() tells. */
  mayComeLater?: boolean;
}

export async function createCniNetwork(options: CniNetworkOptions): Promise<Network> {
  return new CniNetwork(options);
}

class CniNetwork implements Network {
  readonly #options: CniNetworkOptions;
  readonly #configDirectory: string;
  readonly #path: string[];
  readonly #directory: string;
  readonly #namespaces: string;
  readonly #serial = new SerialByKey();
  readonly #records = new Map<string, AttachmentRecord>();
  #hostAddress: string | undefined;
  #resolver: Resolver | undefined;

  constructor(options: CniNetworkOptions) {
    this.#options = options;
    this.#configDirectory = options.configDirectory ?? '/etc/cni/net.d';
    this.#path = options.pluginDirectories ?? ['/opt/cni/bin', '/usr/lib/cni'];
    this.#directory = join(options.run, 'network', 'cni');
    this.#namespaces = join(options.run, 'netns');
  }

  start(): Promise<void> {
    return this.#serial.run('start', async () => {
      if (this.#hostAddress) return;
      const { log } = this.#options;
      const { records, broken } = await readRecords(this.#directory);
      if (broken.length > 0) log.error({ broken }, 'records of CNI attachments that cannot be read');
      const chain = await this.#usableChain().catch((error) => {
        // What is attached can be detached without it; attach() asks again.
        if (records.length === 0 && !this.#options.mayComeLater) throw error;
        log.error({ error: messageOf(error) }, 'no Pod can be attached to the CNI network for now');
      });
      const address = await hostAddressOf();
      if (this.#options.clusterNames) this.#resolver = await this.#startResolver(address);
      this.#hostAddress = address;
      for (const record of records) this.#records.set(record.sandboxId, record);
      for (const record of records) await this.#recover(record);
      if (!chain) return;
      const garbage = await collectGarbage({ chain, path: this.#path }, [...this.#records.keys()]);
      if (garbage.length > 0) log.warn({ garbage }, 'CNI garbage collection');
      log.info({ network: chain.name, attached: this.#records.size }, 'CNI network is up');
    });
  }

  #startResolver(address: string): Promise<Resolver> {
    const names = podNames(() => [...this.#records.values()]);
    const { log } = this.#options;
    return createResolver({ address, clusterDomain: 'cluster.local', log, clock: systemClock, ...names });
  }

  async #usableChain(): Promise<Chain> {
    const chain = await loadChain(this.#configDirectory);
    await this.#findPlugins(chain);
    const [fault] = await networkFaults({ chain, path: this.#path });
    if (fault) throw new SampanError('FailedPrecondition', `CNI network ${chain.name}: ${fault}`);
    return chain;
  }

  /** Before any of them runs: what one has made cannot be undone while another is not there. Throws FailedPrecondition naming it. */
  async #findPlugins(chain: Chain): Promise<void> {
    for (const type of chain.plugins.flatMap(programsOf)) await findPlugin(type, this.#path);
  }

  fault(): Promise<string | undefined> {
    return this.#usableChain().then(() => undefined, messageOf);
  }

  /** What was never answered is undone; of the rest, what somebody else broke is told. */
  async #recover(record: AttachmentRecord): Promise<void> {
    const { sandboxId, result } = record;
    if (!record.attachment || !result)
      return this.#undo(record).catch((error) =>
        this.#options.log.warn(
          { sandboxId, error: messageOf(error) },
          'a half-made CNI attachment cannot be undone yet',
        ),
      );
    await checkNetwork(this.#runOf(record), result).catch((error) =>
      this.#options.log.warn({ sandboxId, error: messageOf(error) }, 'a CNI attachment is not as it was made'),
    );
  }

  attach(request: AttachRequest): Promise<Attachment> {
    return this.#serial.run(request.sandboxId, async () => {
      refuseMode(request);
      this.#running('attach');
      const known = this.#records.get(request.sandboxId);
      const isSame = known?.boundFrom === request.netnsPath;
      if (known?.attachment && isSame && (await isNetns(known.netnsPath))) return known.attachment;
      if (known) await this.#undo(known);
      const record = await this.#newRecord(request);
      try {
        return await this.#make(record);
      } catch (error) {
        // What cannot be undone now keeps its record, and the next start tries again.
        await this.#undo(record).catch((failure) =>
          this.#options.log.warn({ sandboxId: request.sandboxId, error: messageOf(failure) }, 'CNI DEL failed'),
        );
        throw error;
      }
    });
  }

  /** Its ports of the host are asked for and taken in one turn. */
  async #newRecord(request: AttachRequest): Promise<AttachmentRecord> {
    const { sandboxId, netnsPath, portMappings = [] } = request;
    if (netnsPath) checkNetnsPath(netnsPath);
    const chain = await loadChain(this.#configDirectory);
    await this.#findPlugins(chain);
    const record: AttachmentRecord = {
      format: 1,
      sandboxId,
      netnsPath: join(this.#namespaces, sandboxId),
      ...(netnsPath ? { boundFrom: netnsPath } : {}),
      chain,
      path: this.#path,
      args: cniArgs(request),
      capabilities: capabilitiesOf(request, chain),
      portMappings,
    };
    const keep = async () => {
      if (portMappings.length > 0) {
        checkMappings({ sandboxId, portMappings }, [...this.#records.values()]);
        await checkListeners(portMappings);
      }
      await writeRecord(this.#directory, record);
      this.#records.set(sandboxId, record);
    };
    await (portMappings.length > 0 ? this.#serial.run('/host-ports', keep) : keep());
    return record;
  }

  async #make(record: AttachmentRecord): Promise<Attachment> {
    const { sandboxId, netnsPath, boundFrom } = record;
    await (boundFrom ? bindNetns(boundFrom, netnsPath) : makeNetns(netnsPath));
    record.result = await addToNetwork(this.#runOf(record), async (result) => {
      record.result = result;
      await writeRecord(this.#directory, record);
    });
    const { dns, ...addresses } = podAddresses(record.result, podInterface);
    const [link] = await Promise.all([
      boundFrom ? linkOf(netnsPath, podInterface) : makeTapBeside(netnsPath, podInterface, this.#options.join),
      this.#settle(sandboxId, addresses.ipv6?.gateway),
    ]);
    const { nameservers, ...names } = await this.#namesFor(dns);
    record.attachment = {
      ...{ sandboxId, ...(boundFrom ? { netnsPath: boundFrom } : { tapName: tapDevice, netnsPath }) },
      ...{ ...addresses, ...link, nameservers, dns: names },
    };
    await writeRecord(this.#directory, record);
    return record.attachment;
  }

  async #settle(sandboxId: string, gateway: string | undefined): Promise<void> {
    if (gateway && !(await settleGateway(gateway, systemClock)))
      this.#options.log.warn(
        { sandboxId, gateway },
        'the IPv6 gateway is not usable: another on its link has its address',
      );
  }

  /** Who serves the cluster's names serves all others too. */
  async #namesFor<T extends { nameservers: string[] }>(dns: T): Promise<T> {
    if (this.#resolver) return { ...dns, nameservers: [this.#running('attach')] };
    return dns.nameservers.length > 0 ? dns : { ...dns, nameservers: await hostResolvers() };
  }

  detach(sandboxId: string): Promise<void> {
    return this.#serial.run(sandboxId, async () => {
      this.#running('detach');
      const record = this.#records.get(sandboxId);
      if (record) await this.#undo(record);
    });
  }

  /** The record goes last. A namespace that is gone already (a reboot) is no obstacle: the plugins are told so. */
  async #undo(record: AttachmentRecord): Promise<void> {
    await removeFromNetwork(this.#runOf(record, await isNetns(record.netnsPath)), record.result);
    await removeNetns(record.netnsPath);
    await removeRecord(this.#directory, record.sandboxId);
    this.#records.delete(record.sandboxId);
  }

  #runOf(record: AttachmentRecord, hasNetns = true): ChainRun {
    const { chain, path, args, capabilities, netnsPath } = record;
    return {
      ...{ chain, path, args, capabilities, containerId: record.sandboxId, interfaceName: podInterface },
      ...(hasNetns ? { netnsPath } : {}),
    };
  }

  async list(): Promise<Attachment[]> {
    this.#running('list');
    return [...this.#records.values()].flatMap(({ attachment }) => (attachment ? [attachment] : []));
  }

  hostAddress(): string {
    return this.#running('hostAddress');
  }

  async close(): Promise<void> {
    this.#hostAddress = undefined;
    this.#records.clear();
    const resolver = this.#resolver;
    this.#resolver = undefined;
    await resolver?.close();
  }

  async teardown(): Promise<void> {
    await this.start();
    const attached = this.#records.size;
    if (attached > 0)
      throw new SampanError(
        'FailedPrecondition',
        `the CNI network cannot be torn down: ${attached} sandboxes are attached; detach them first`,
      );
    await this.close();
    await rm(this.#directory, { recursive: true, force: true });
    await rm(this.#namespaces, { recursive: true, force: true });
  }

  #running(wanted: string): string {
    if (this.#hostAddress) return this.#hostAddress;
    throw new SampanError('FailedPrecondition', `the CNI network is not started; wanted ${wanted}`);
  }
}

/** Where the chain names no resolver, Pods ask those of the host; one on the host's loopback they cannot reach. */
async function hostResolvers(): Promise<string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const all = [...text.matchAll(/^\s*nameserver\s+([0-9a-fA-F.:]+)\s*$/gm)].map((match) => match[1] ?? '');
  return all.filter((address) => !/^(127\.|::1$)/.test(address)).slice(0, 3);
}
