/** The drivers an instance uses, opened from its directories. */
import { join } from 'node:path';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Instance } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { createErofsImageStore } from '../images/erofs/erofs-image-store.ts';
import type { ImageGarbageCollector, ImageStore } from '../images/images.ts';
import { createBridgeNetwork } from '../network/bridge/bridge-network.ts';
import { createCniNetwork } from '../network/cni/cni-network.ts';
import type { Network } from '../network/network.ts';
import { connectAgent } from '../runtime/agent/agent-client.ts';
import { createRehearsal } from '../runtime/rehearsal.ts';
import type { Store } from '../store/store.ts';
import { findGuestArtifacts } from '../vmm/guest-artifacts.ts';
import { createNamespaceVmm } from '../vmm/namespace/namespace-vmm.ts';
import { createQemuVmm } from '../vmm/qemu/qemu-vmm.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { openStore } from './open-store.ts';
import { encryptionKeyFile, withSecretEncryption } from './secret-encryption.ts';

/** Clones kept ready per recently used shape. */
const poolSize = 1;

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
    openVmms(instance, log),
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

/** What SAMPAN_NETWORK names. Throws Unsupported for what there is not. */
export async function openNetwork(instance: Instance, log: Logger, { api = true } = {}): Promise<Network> {
  const kind = process.env.SAMPAN_NETWORK || 'bridge';
  if (kind === 'cni' && !api) return openCniNetwork(instance, log);
  if (kind === 'bridge') return openBridgeNetwork(instance, log, { api });
  throw new SampanError(
    'Unsupported',
    `SAMPAN_NETWORK=${kind}: the network is bridge; cni is for ./sampan cri, since names and the API server of Pods need a network of ours`,
  );
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

export function openCniNetwork(instance: Instance, log: Logger): Promise<Network> {
  const pluginDirectories = (process.env.SAMPAN_CNI_BIN_DIR ?? '').split(':').filter(Boolean);
  return createCniNetwork({
    run: instance.run,
    log: log.child({ part: 'network' }),
    ...(process.env.SAMPAN_CNI_CONF_DIR ? { configDirectory: process.env.SAMPAN_CNI_CONF_DIR } : {}),
    ...(pluginDirectories.length > 0 ? { pluginDirectories } : {}),
  });
}

export async function openVmms(instance: Instance, log: Logger): Promise<Vmms> {
  const [vm, namespace] = await Promise.all([openVmm(instance, log), openNamespaceVmm(instance, log)]);
  return { vm, ...(namespace ? { namespace } : {}) };
}

/** Undefined, with a word in the log, where the host cannot have it: Pods in VMs do not need it. */
async function openNamespaceVmm(instance: Instance, log: Logger): Promise<Vmm | undefined> {
  try {
    const guest = await findGuestArtifacts(needed('SAMPAN_GUEST_DIR'));
    return await createNamespaceVmm({ run: instance.run, guest, tag: instance.tag, log: log.child({ part: 'vmm' }) });
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

export async function openVmm(instance: Instance, log: Logger): Promise<Vmm> {
  const guest = await findGuestArtifacts(needed('SAMPAN_GUEST_DIR'));
  const pool = Number(process.env.SAMPAN_POOL ?? poolSize);
  return createQemuVmm({
    run: instance.run,
    guest,
    launcherPath: launcherPath(),
    tag: instance.tag,
    log: log.child({ part: 'vmm' }),
    pool,
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
