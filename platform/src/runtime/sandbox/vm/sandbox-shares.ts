/**
 * Directories of the host in a sandbox: a machine that was made with the share can take them at any time, any other never.
 *
 *   annotation sampan.dev/host-mounts: "true" ──▶ the machine has the share from its start
 *   without it, first container of the sandbox wants one ──▶ the machine is exchanged for one with the share (same network, fresh disk)
 *   without it, a later container wants one ──▶ FailedPrecondition
 *
 * A machine with the share boots cold, so it is not given to everybody. Owns run/shares/<machine>; the mounts themselves are the driver's.
 */
import { mkdir, stat } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { Share, ShareMount } from '../../../vmm/vmm.ts';
import { runtimeAnnotation } from '../../annotations.ts';
import type { Context } from '../../context.ts';
import { machineName, type SandboxRecord, saveSandbox } from '../../records/sandbox-record.ts';
import { cgroupParentOf } from '../../spec/cgroup-parent.ts';
import { wantSharedMount } from '../../volumes/shared-mount.ts';
import { hostTag, type PlannedVolume } from '../../volumes/volume-plan.ts';
import type { Sandbox } from './sandbox.ts';
import { beginSandbox, letGo, machineEnded } from './sandbox-watch.ts';

/** Throws Invalid naming the annotation. */
export function wantsShares(annotations: Record<string, string> | undefined): boolean {
  const key = runtimeAnnotation.hostMounts;
  const text = annotations?.[key];
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw new SampanError('Invalid', `annotation ${key} is "${text}"; wanted "true" or "false"`);
}

/** For MachineSpec.shares. The guest can change nothing but what is mounted in there for it to change. */
export async function sandboxShares(context: Context, record: SandboxRecord): Promise<{ shares?: Share[] }> {
  if (!record.shares) return {};
  const directory = context.paths.share(record.id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return { shares: [{ tag: hostTag, directory, readOnly: true }] };
}

/** Idempotent. A directory that is not there is made, as other runtimes do. Throws Unsupported, NotFound. */
export async function putIntoShare(sandbox: Sandbox, mount: ShareMount): Promise<void> {
  const { machine } = sandbox;
  if (!machine?.mountInShare)
    throw new SampanError(
      'Unsupported',
      `mount of ${mount.hostPath}: this handler's machines take no host directories`,
    );
  const there = await stat(mount.hostPath).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw new SampanError('NotFound', `mount of ${mount.hostPath}: ${error.code}`);
  });
  if (!there) await mkdir(mount.hostPath, { recursive: true, mode: 0o755 });
  if (mount.propagation === 'shared') await wantSharedMount(mount.hostPath);
  await machine.mountInShare(mount);
}

/** Before a container is made: its sandbox's machine has a share when the container wants one. Throws FailedPrecondition, Unsupported. */
export async function ensureShares(context: Context, sandbox: Sandbox, planned: PlannedVolume[]): Promise<void> {
  const wanted = planned.find(({ shareMount }) => shareMount);
  if (!wanted || sandbox.record.shares) return;
  await context.locks.run(sandbox.id, async () => {
    const { record } = sandbox;
    if (record.shares || record.state !== 'ready' || sandbox.stopping) return;
    const { shares, driver } = await context.vmm(record.runtimeHandler).capabilities();
    if (!shares) throw new SampanError('Unsupported', `mount of ${wanted.hostPath}: driver ${driver} has no shares`);
    if (sandbox.containers.size > 0 || record.volumes.length > 0)
      throw new SampanError(
        'FailedPrecondition',
        `mount of ${wanted.hostPath}: the machine of Pod ${sandbox.podName} was made without host directories and is in use already; annotate the Pod with ${runtimeAnnotation.hostMounts}: "true"`,
      );
    await exchangeMachine(context, sandbox);
  });
}

/** Killed in between, the sandbox is one whose machine has gone: it is reported not ready and made anew. */
async function exchangeMachine(context: Context, sandbox: Sandbox): Promise<void> {
  const { record } = sandbox;
  const vmm = context.vmm(record.runtimeHandler);
  context.log.info({ sandboxId: sandbox.id, pod: sandbox.podName }, 'a machine with host directories takes the place');
  const leave = await context.startGate.enter('machine');
  try {
    await context.step('shares-exchange');
    sandbox.machine = undefined;
    letGo(sandbox, new SampanError('ServiceUnavailable', `sandbox ${sandbox.id} gets another machine`));
    await vmm.destroy(context.paths.machine(sandbox.id));
    // Only now: a machine that stands has what its record says.
    record.shares = true;
    await saveSandbox(context.paths, record);
    await context.scratch.remove(sandbox.id);
    const path = await context.scratch.create(sandbox.id, record.scratchBytes);
    await context.step('shares-machine');
    const { network } = record;
    const images = await Promise.all(
      Object.entries(record.images).map(async ([id, slot]) => {
        const image = await context.options.images.get(id);
        return image ? [{ slot, path: image.blockImagePath, readOnly: true }] : [];
      }),
    );
    const machine = await vmm.create({
      id: machineName(sandbox.id),
      directory: context.paths.machine(sandbox.id),
      shape: record.shape,
      disks: [{ slot: 'scratch', path, readOnly: false }, ...images.flat()],
      ...(network ? { nic: { tapName: network.tapName!, mac: network.mac, netnsPath: network.netnsPath } } : {}),
      ...(await sandboxShares(context, record)),
      cgroupParent: cgroupParentOf(record.config.linux),
    });
    sandbox.disks.clear();
    beginSandbox(context, sandbox, machine, false);
  } catch (error) {
    leave();
    const message = error instanceof Error ? error.message : String(error);
    await machineEnded(context, sandbox, { kind: 'killed', message });
    throw error;
  }
  sandbox.link!.ready().then(leave, leave);
}
