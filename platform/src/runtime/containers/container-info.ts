/**
 * The `info` of a verbose ContainerStatus: what `crictl inspect` shows and scripts read there (`.info.pid`, `.info.runtimeSpec`, `.info.config`), by containerd's
 * names. Owns nothing; whoever may ask on CRI's socket is root on this node, so environments are shown as containerd shows them.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Context } from '../context.ts';
import { criJson } from '../cri-json.ts';
import { hostPidOf } from '../host-pid.ts';
import { handlerOf } from '../sandbox/handlers.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { findHostDevices } from '../spec/host-devices.ts';
import { localhostSeccomp } from '../spec/seccomp-file.ts';
import type { Container } from './container.ts';
import { specOf } from './container-plan.ts';

/** How long an agent may take to say which process a container's is. */
const askMs = 2000;

export async function containerInfo(context: Context, container: Container): Promise<object> {
  const { record } = container;
  const sandbox = context.sandboxOf(container);
  const [pid, runtimeSpec] = await Promise.all([
    pidOf(context, sandbox, container),
    runtimeSpecOf(context, sandbox, container),
  ]);
  const { sandboxId, stopSignal } = record;
  return { sandboxID: sandboxId, pid, stopSignal, config: criJson(record.config), ...(runtimeSpec && { runtimeSpec }) };
}

/** As the host counts: of the container's first process, or of the VM that it is in, as other runtimes of VMs tell it. 0: it does not run. */
async function pidOf(context: Context, sandbox: Sandbox, container: Container): Promise<number> {
  const machinePid = sandbox.machine?.pid;
  if (container.record.state !== 'running' || machinePid === undefined) return 0;
  if (handlerOf(sandbox.record.runtimeHandler) === 'vm') return machinePid;
  const asking = async () => {
    const agent = await sandbox.link!.ready();
    const inner = (await agent.listContainers()).find(({ id }) => id === container.id)?.pid;
    return inner ? hostPidOf(machinePid, inner) : undefined;
  };
  const answer = await within(context.options.clock, askMs, asking()).catch(() => undefined);
  return answer?.value ?? 0;
}

/**
 * Made once more of what the record says: an image or a profile that is gone meanwhile leaves nothing to show. Environments are not kept over a restart of ours
 * (container-record.ts), and are then left out rather than shown in part.
 */
async function runtimeSpecOf(context: Context, sandbox: Sandbox, container: Container): Promise<object | undefined> {
  const { record } = container;
  const { config, mounts } = record;
  try {
    const isOnHost = handlerOf(sandbox.record.runtimeHandler) === 'namespace';
    const [image, seccompProfile, hostDevices] = await Promise.all([
      context.options.images.get(record.imageId),
      localhostSeccomp(config.linux?.securityContext),
      isOnHost ? findHostDevices(config.devices ?? []) : undefined,
    ]);
    if (!image) return undefined;
    const plan = { config, image, volumes: { mounts, volumes: [] }, seccompProfile, hostDevices };
    return shown(specOf(sandbox, container.id, plan), sandbox, container);
  } catch (error) {
    context.log.debug({ containerId: container.id, error: messageOf(error) }, 'no runtime spec to show');
    return undefined;
  }
}

interface Spec {
  process: { env?: string[]; user: object };
  mounts: object[];
}

/** With what the agent adds in the guest: volumes, and whom the image's names came to. */
function shown(spec: object, sandbox: Sandbox, { record }: Container): object {
  const { config, user, envsLeftOut } = record;
  const { process, mounts } = spec as Spec;
  const { env, ...rest } = process;
  const owner = user ? { uid: user.uid, gid: user.gid, additionalGids: user.groups } : process.user;
  const volumes = (config.mounts ?? []).map(({ containerPath, hostPath, readonly }) => {
    return { destination: containerPath, type: 'bind', source: hostPath, options: ['rbind', readonly ? 'ro' : 'rw'] };
  });
  return {
    ...spec,
    hostname: sandbox.hostname,
    process: { ...rest, user: owner, ...(envsLeftOut ? {} : { env }) },
    mounts: [...mounts, ...volumes],
    annotations: config.annotations ?? {},
  };
}
