/**
 * The network of a virtual machine whose bundle has hooks that make one. A hook knows a container by a process of the host, whose network namespace it fills;
 * a guest has none. So before the machine is made a process stands in for it, in the network namespace that config.json names or in a fresh one, and
 * what the hooks have left there is what the machine joins. Owns the fresh namespace, by a path that goes with the sandbox.
 */
import { isReason } from '@sampan/api/errors.ts';
import type { Attachment } from '../../network/network.ts';
import type { BundleContext, LiveSandbox } from './bundle-context.ts';
import { saveBundleSandbox } from './bundle-records.ts';
import type { HookedBundle } from './bundle-runtime.ts';
import type { StandIn } from './hook-namespaces.ts';
import { hookPlan } from './hook-plan.ts';

/** Runs what is to run before there is a container, where its network namespace is not inside a machine yet. Throws InternalError naming the hook. */
export async function hooksBeforeMachine(
  context: BundleContext,
  sandbox: LiveSandbox,
  hooked: HookedBundle,
): Promise<void> {
  const { record } = sandbox;
  const plan = hookPlan(hooked.config);
  if (record.request.handler !== 'vm' || !plan || plan.prestart.length + plan.createRuntime.length === 0) return;
  record.hookedFor = hooked.containerId;
  if (record.request.network !== 'netns') record.ownNetns = context.paths.netns(record.id);
  await saveBundleSandbox(context.paths, record);
  await context.step('hooks-netns');
  if (record.ownNetns) await context.options.hookNamespaces.make(record.ownNetns);
  const path = record.ownNetns ?? record.request.netnsPath ?? '';
  await runHooksIn(context, sandbox, hooked, path);
}

async function runHooksIn(
  context: BundleContext,
  { record }: LiveSandbox,
  { containerId, name, bundle, config }: HookedBundle,
  path: string,
): Promise<void> {
  const container = { name, bundle, annotations: config.annotations ?? {} };
  const made = { id: containerId, sandboxId: record.id, container, plan: hookPlan(config)! };
  await withStandIn(context, path, (pid) => context.hooks.create(made, pid));
}

/** Somebody stands in the namespace while `work` goes on, once it asks for the pid. */
export async function withStandIn(
  context: BundleContext,
  path: string,
  work: (pid: () => Promise<number>) => Promise<void>,
): Promise<void> {
  let standIn: StandIn | undefined;
  try {
    await work(async () => {
      standIn = await context.options.hookNamespaces.standIn(path);
      return standIn.pid;
    });
  } finally {
    standIn?.close();
  }
}

/** Joins what the hooks have made; undefined where they made no network, which a machine then has none of. */
export async function joinHooked(context: BundleContext, { record }: LiveSandbox): Promise<Attachment | undefined> {
  const { joinNetns, log } = context.options;
  if (!record.ownNetns || record.request.network !== 'none' || !joinNetns) return undefined;
  const request = { ...record.request, network: 'netns', netnsPath: record.ownNetns } as const;
  try {
    const attachment = await joinNetns.attach(request);
    record.request = request;
    return attachment;
  } catch (error) {
    // Whatever of it was made beside a network that is not there.
    await joinNetns.detach(record.id);
    if (!isReason(error, 'FailedPrecondition')) throw error;
    log.debug({ sandbox: record.id }, 'its hooks have made no network');
    return undefined;
  }
}
