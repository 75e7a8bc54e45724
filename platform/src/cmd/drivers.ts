/** The drivers an instance uses, opened from its directories. */
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Instance } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { createErofsImageStore } from '../images/erofs/erofs-image-store.ts';
import type { ImageGarbageCollector, ImageStore } from '../images/images.ts';
import { createBridgeNetwork } from '../network/bridge/bridge-network.ts';
import { createCniNetwork } from '../network/cni/cni-network.ts';
import { parseMacvlan } from '../network/macvlan/macvlan-config.ts';
import { withMacvlan } from '../network/macvlan/with-macvlan.ts';
import type { Network } from '../network/network.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import { createRehearsal } from '../runtime/rehearsal.ts';
import type { Store } from '../store/store.ts';
import { findGuestArtifacts, holdGuestArtifacts } from '../vmm/guest-artifacts.ts';
import { createNamespaceVmm } from '../vmm/namespace/namespace-vmm.ts';
import { createQemuVmm } from '../vmm/qemu/qemu-vmm.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { accelerationSetting } from './acceleration-setting.ts';
import { openStore } from './open-store.ts';
import { poolSize } from './pool-size.ts';
import { encryptionKeyFile, withSecretEncryption } from './secret-encryption.ts';

export interface Drivers {
  store: Store;
  /** Other servers work on the same store. */
  isStoreShared: boolean;
  images: ImageStore & ImageGarbageCollector;
  network: Network;
  vmms: Vmms;
}

/** By runtime handler. */
export interface Vmms {
  vm: Vmm;
  namespace?: Vmm;
}

export async function openDrivers(instance: Instance, log: Logger): Promise<Drivers> {
  const [{ store, isShared }, images, network, vmms] = await Promise.all([
    openStore(instance.home, log.child({ part: 'store' })),
    openImages(instance, log),
    openNetwork(instance, log),
    openVmms(instance, log, { forCrowds: true }),
  ]);
  const encrypted = await withSecretEncryption(store, process.env[encryptionKeyFile], log.child({ part: 'store' }));
  return { store: encrypted, isStoreShared: isShared, images, network, vmms };
}

export function openImages(instance: Instance, log: Logger): Promise<ImageStore & ImageGarbageCollector> {
  return createErofsImageStore({
    directory: join(instance.home, 'images'),
    log: log.child({ part: 'images' }),
    insecureRegistries: listOf(process.env.SAMPAN_INSECURE_REGISTRIES),
  });
}

export type NetworkKind = 'bridge' | 'cni';

/** What SAMPAN_NETWORK names. Throws Unsupported for what there is not. */
export function networkKind(text = process.env.SAMPAN_NETWORK): NetworkKind {
  const kind = text || 'bridge';
  if (kind === 'bridge' || kind === 'cni') return kind;
  throw new SampanError('Unsupported', `SAMPAN_NETWORK=${kind}: the network is bridge or cni`);
}

/**
 * The network of the instance's kind; with `api` Pods find names and our API server there. Throws FailedPrecondition while Pods of the instance are
 * attached to the other kind: nobody would detach them.
 */
export async function openNetwork(instance: Instance, log: Logger, { api = true } = {}): Promise<Network> {
  const kind = networkKind();
  const directory = join(instance.run, 'network', kind === 'cni' ? 'leases' : 'cni');
  const attached = await readdir(directory).catch((): string[] => []);
  if (attached.length > 0)
    throw new SampanError(
      'FailedPrecondition',
      `SAMPAN_NETWORK=${kind}: ${attached.length} Pods of ${instance.home} are attached to the other network; start with that one, or remove them first (./sampan down --pods)`,
    );
  const main = await (kind === 'cni'
    ? openCniNetwork(instance, log, { api })
    : openBridgeNetwork(instance, log, { api }));
  return openMacvlan(main, instance, log);
}

/** What SAMPAN_MACVLAN names, beside the Pod network. */
export function openMacvlan(main: Network, instance: Instance, log: Logger): Promise<Network> {
  const text = process.env.SAMPAN_MACVLAN;
  const macvlan = text ? parseMacvlan(text) : undefined;
  return withMacvlan(main, { run: instance.run, log: log.child({ part: 'network' }), macvlan, ...pluginDirectories() });
}

/** Where SAMPAN_CNI_BIN_DIR says, else the driver's own. */
function pluginDirectories(): { pluginDirectories?: string[] } {
  const named = (process.env.SAMPAN_CNI_BIN_DIR ?? '').split(':').filter(Boolean);
  return named.length > 0 ? { pluginDirectories: named } : {};
}

/** Pods reach our API server at their gateway, unless there is none. */
export function openBridgeNetwork(instance: Instance, log: Logger, { api = true } = {}): Promise<Network> {
  const { port } = instance.listen;
  return createBridgeNetwork({
    run: instance.run,
    tag: instance.tag,
    log: log.child({ part: 'network' }),
    ...(api ? { allowHostPorts: [port], redirectHttpsTo: port } : {}),
  });
}

/** With `api` the cluster's names are served; our API server is at the host's own address. */
export function openCniNetwork(instance: Instance, log: Logger, { api = false } = {}): Promise<Network> {
  return createCniNetwork({
    run: instance.run,
    log: log.child({ part: 'network' }),
    clusterNames: api,
    // kubelet asks CRI whether the network is ready; a server of our own says what is missing by not starting.
    mayComeLater: !api,
    ...(process.env.SAMPAN_CNI_CONF_DIR ? { configDirectory: process.env.SAMPAN_CNI_CONF_DIR } : {}),
    ...pluginDirectories(),
  });
}

/** With `forCrowds` machines are kept for crowds too, as a server that Pods are handed to does; others start one now and then. */
export async function openVmms(instance: Instance, log: Logger, { forCrowds = false } = {}): Promise<Vmms> {
  const [vm, namespace] = await Promise.all([openVmm(instance, log, forCrowds), openNamespaceVmm(instance, log)]);
  return { vm, ...(namespace ? { namespace } : {}) };
}

/** Undefined, with a word in the log, where the host cannot have it: Pods in VMs do not need it. */
async function openNamespaceVmm(instance: Instance, log: Logger): Promise<Vmm | undefined> {
  try {
    const guest = await findGuestArtifacts(needed('SAMPAN_GUEST_DIR'));
    const { run, tag } = instance;
    const { pool } = poolSize(process.env.SAMPAN_POOL, { forCrowds: false, cores: availableParallelism() });
    return await createNamespaceVmm({ run, guest, tag, log: log.child({ part: 'vmm' }), pool });
  } catch (error) {
    if (!isReason(error, 'FailedPrecondition')) throw error;
    log.warn({ reason: error.message }, 'the runtime handler "namespace" is not offered');
    return undefined;
  }
}

/** Machines go on. */
export async function closeVmms({ vm, namespace }: Vmms): Promise<void> {
  await Promise.all([vm.close(), namespace?.close()]);
}

async function openVmm(instance: Instance, log: Logger, forCrowds: boolean): Promise<Vmm> {
  const guest = await findGuestArtifacts(needed('SAMPAN_GUEST_DIR'));
  holdGuestArtifacts(guest);
  const accelerator = accelerationSetting(process.env.SAMPAN_ACCELERATION);
  return createQemuVmm({
    ...(accelerator ? { accelerator } : {}),
    run: instance.run,
    guest,
    launcherPath: launcherPath(),
    tag: instance.tag,
    log: log.child({ part: 'vmm' }),
    ...poolSize(process.env.SAMPAN_POOL, { forCrowds, cores: availableParallelism() }),
    rehearsal: createRehearsal({
      connectAgent,
      directory: join(instance.run, 'rehearsal'),
      rootfsPath: guest.rootfsPath,
    }),
  });
}

export const launcherPath = (): string => join(needed('SAMPAN_HOST_DIR'), 'sampan-launch');

function needed(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new SampanError(
      'FailedPrecondition',
      `${name} is not set: the server is started by ./sampan up, which builds what it names`,
    );
  return value;
}

const listOf = (text: string | undefined): string[] => (text ? text.split(',').filter(Boolean) : []);
