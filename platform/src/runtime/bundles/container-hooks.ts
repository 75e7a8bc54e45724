/** When a container's hooks on the host run, and which process they are told. */
import { within } from '../../base/within.ts';
import { hostPidOf } from '../host-pid.ts';
import { agentOf } from './agent-of.ts';
import type { BundleContext, LiveContainer } from './bundle-context.ts';
import { hookPlan } from './hook-plan.ts';
import { withStandIn } from './hooked-network.ts';
import type { OciConfig } from './oci-config.ts';

/** Who asks for a process that is on its way is not kept longer. */
const readyMs = 5_000;

/**
 * Before a container counts as created; those of a virtual machine's first container have run before the machine was there (hooked-network.ts). Throws
 * InternalError naming the hook that failed, or with crun's words.
 */
export async function hooksAtCreate(
  context: BundleContext,
  container: LiveContainer,
  name: string,
  config: OciConfig,
): Promise<void> {
  const plan = hookPlan(config);
  if (!plan) return;
  const { id, sandboxId, bundle, annotations } = container.record;
  const made = { id, sandboxId, plan, container: { name, bundle, annotations } };
  const { machine, record } = context.sandbox(sandboxId);
  if (record.request.handler === 'vm') {
    // One that comes into a machine which is there already: its network is made.
    const path = record.ownNetns ?? record.request.netnsPath;
    if (path) return withStandIn(context, path, (pid) => context.hooks.create(made, pid));
    return context.hooks.create(made, async () => machine?.pid ?? 0);
  }
  await context.hooks.create(made, async () => {
    const { pid } = await (await agentOf(context, container)).awaitReady(id);
    return hookedPid(context, container, pid);
  });
}

/** Once it runs. Never throws. */
export async function hooksAfterStart(context: BundleContext, container: LiveContainer): Promise<void> {
  const { id, guestPid } = container.record;
  await context.hooks.started(id, () => hookedPid(context, container, guestPid));
}

/** Of a machine on the host the container's own process; of a virtual machine, or where that process has ended already, the machine's. */
async function hookedPid(context: BundleContext, container: LiveContainer, guestPid: number): Promise<number> {
  const { machine } = context.sandbox(container.record.sandboxId);
  return (await numberOnHost(context, container, guestPid)) ?? machine?.pid ?? 0;
}

async function numberOnHost(
  context: BundleContext,
  { record }: LiveContainer,
  guestPid: number,
): Promise<number | undefined> {
  const { machine, record: sandbox } = context.sandbox(record.sandboxId);
  const isOnHost = sandbox.request.handler === 'namespace' && machine?.pid && guestPid;
  return isOnHost ? hostPidOf(machine.pid!, guestPid) : undefined;
}

/** What `state` tells of a container, and hooks too. */
export async function processOnHost(context: BundleContext, container: LiveContainer): Promise<number | undefined> {
  const { id, sandboxId, state, guestPid } = container.record;
  if (state === 'stopped' || context.sandbox(sandboxId).record.request.handler !== 'namespace') return undefined;
  if (state === 'running' || state === 'paused') return numberOnHost(context, container, guestPid);
  // What crun complains of is for its start to say.
  const ready = agentOf(context, container)
    .then((agent) => agent.awaitReady(id))
    .catch(() => undefined);
  const told = await within(context.options.clock, readyMs, ready);
  return told?.value && numberOnHost(context, container, told.value.pid);
}
