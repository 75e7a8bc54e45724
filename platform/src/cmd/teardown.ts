/**
 * Removes what an instance made on this host: machines, taps, bridge, NAT rules, templates, scratch disks, the run directory.
 * Run by `sampan down --pods` after the server has ended. Idempotent. What is durable (objects, images, logs) stays in home.
 */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { instanceFromEnvironment } from '../base/config.ts';
import { ensureDirectory } from '../base/files.ts';
import { createLogger } from '../base/log.ts';
import type { Network } from '../network/network.ts';
import { hostShareMounts } from '../runtime/bundles/share-mounts.ts';
import { restRelay } from '../shim/relay-client.ts';
import { launcherPath, openBridgeNetwork, openCniNetwork, openMacvlan, openVmms } from './drivers.ts';
import { lockHeldExit, takeInstanceLock } from './instance-lock.ts';

const instance = instanceFromEnvironment();
const log = createLogger({ level: 'warn' });

try {
  await ensureDirectory(instance.run, 0o711);
  await takeInstanceLock(instance).catch((error) => notTornDown(error, lockHeldExit));
  process.env.SAMPAN_POOL = '0';
  // What is attached is detached with the configuration in its record.
  delete process.env.SAMPAN_MACVLAN;
  const { vm, namespace } = await openVmms(instance, log);
  const vmms = namespace ? [vm, namespace] : [vm];
  const machines = join(instance.run, 'vm');
  // Each driver leaves the others' machines alone.
  for (const name of await readdir(machines).catch(() => []))
    for (const vmm of vmms) await vmm.destroy(join(machines, name));
  for (const vmm of vmms) await vmm.teardown();
  // Before the bridge, which takes the directory of both. Without a record nothing is attached, and no network need be configured any more.
  if (await hasFiles(join(instance.run, 'network/cni'))) await removeNetwork(await openCniNetwork(instance, log));
  await removeNetwork(await openMacvlan(await openBridgeNetwork(instance, log), instance, log));
  await rm(join(instance.home, 'scratch'), { recursive: true, force: true });
  await hostShareMounts(launcherPath()).release(join(instance.run, 'bundles'));
  // It rests where containerd was still connected when the runtime ended; by now it is not.
  await restRelay(join(instance.run, 'shim'));
  await rm(instance.run, { recursive: true, force: true });
  // The directory of all instances goes with the last of them.
  if (!process.env.SAMPAN_RUN) await rmdir(dirname(instance.run)).catch(() => {});
  process.exit(0);
} catch (error) {
  notTornDown(error, 1);
}

function notTornDown(error: unknown, exit: number): never {
  log.error({ error: messageOf(error) }, `${instance.home} could not be torn down`);
  process.exit(exit);
}

async function hasFiles(directory: string): Promise<boolean> {
  return (await readdir(directory).catch((): string[] => [])).length > 0;
}

async function removeNetwork(network: Network): Promise<void> {
  await network.start();
  for (const attachment of await network.list()) await network.detach(attachment.sandboxId);
  await network.teardown();
}
