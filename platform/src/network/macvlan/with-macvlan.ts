/**
 * Beside the Pod network of any driver, the wire of a device of the host: Pods that ask for the mode macvlan have an interface of their own on it,
 * made by the CNI plugin macvlan. Everything else is the other network's.
 *
 * Owns <run>/macvlan (the configuration, addresses, records: all of them of the cni driver in there). An attachment is of one of both networks.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { ensureDirectory, writeFileAtomic } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';
import { deviceList } from '../bridge/links.ts';
import { createCniNetwork } from '../cni/cni-network.ts';
import type { Attachment, AttachRequest, Network } from '../network.ts';
import { type MacvlanOptions, macvlanChain, macvlanForm } from './macvlan-config.ts';

export interface WithMacvlanOptions {
  /** The instance's run directory. */
  run: string;
  log: Logger;
  /** Absent: the mode is refused by name; what is attached from before is still detached. */
  macvlan?: MacvlanOptions | undefined;
  /** As the cni driver's. */
  pluginDirectories?: string[];
}

export async function withMacvlan(main: Network, options: WithMacvlanOptions): Promise<Network> {
  const { run, log, macvlan, pluginDirectories } = options;
  const directory = join(run, 'macvlan');
  const configDirectory = join(directory, 'net.d');
  const known = existsSync(directory);
  if (macvlan) {
    await ensureDirectory(configDirectory, 0o700);
    const chain = macvlanChain(macvlan, join(directory, 'addresses'));
    await writeFileAtomic(join(configDirectory, 'macvlan.conflist'), JSON.stringify(chain), { durable: false });
  }
  const wire =
    macvlan || known
      ? await createCniNetwork({
          run: directory,
          log,
          configDirectory,
          ...(pluginDirectories ? { pluginDirectories } : {}),
        })
      : undefined;
  return new TwoNetworks({ main, wire, macvlan, directory });
}

interface Parts {
  main: Network;
  wire: Network | undefined;
  macvlan: MacvlanOptions | undefined;
  directory: string;
}

class TwoNetworks implements Network {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { main, wire, macvlan } = this.#parts;
    if (macvlan && !(await deviceList()).has(macvlan.parent))
      throw new SampanError(
        'FailedPrecondition',
        `there is no device ${macvlan.parent}, which is to be the parent of macvlan`,
      );
    await main.start();
    await wire?.start();
  }

  async attach(request: AttachRequest): Promise<Attachment> {
    const { main, wire, macvlan } = this.#parts;
    if (request.mode !== 'macvlan') return main.attach(request);
    if (!wire || !macvlan)
      throw new SampanError(
        'Unsupported',
        `network mode macvlan: this node has no device for it; start it with --macvlan ${macvlanForm}`,
      );
    if (!request.netnsPath)
      throw new SampanError(
        'Unsupported',
        'network mode macvlan: only for a sandbox with a network namespace of its own',
      );
    const { mode: _, ...own } = request;
    return wire.attach(own);
  }

  async detach(sandboxId: string): Promise<void> {
    await this.#parts.wire?.detach(sandboxId);
    await this.#parts.main.detach(sandboxId);
  }

  async list(): Promise<Attachment[]> {
    const { main, wire } = this.#parts;
    return [...(await main.list()), ...((await wire?.list()) ?? [])];
  }

  async fault(): Promise<string | undefined> {
    return this.#parts.main.fault?.();
  }

  hostAddress(): string {
    return this.#parts.main.hostAddress();
  }

  async close(): Promise<void> {
    const { main, wire } = this.#parts;
    await Promise.all([main.close(), wire?.close()]);
  }

  async teardown(): Promise<void> {
    const { main, wire, directory } = this.#parts;
    await wire?.teardown();
    await rm(directory, { recursive: true, force: true });
    await main.teardown();
  }
}
