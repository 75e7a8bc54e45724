/**
 * Finds everything again after the process before this one ended, however it did. What was never answered is taken away; machines that
 * run are taken up, with their containers; what a dead machine held has ended with 137.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { Deferred } from '../deferred.ts';
import type { BundleContext, LiveContainer, LiveSandbox } from './bundle-context.ts';
import {
  type BundleContainerRecord,
  deleteBundleContainer,
  loadBundleContainers,
  loadBundleSandboxes,
  machineNameOf,
  saveBundleSandbox,
} from './bundle-records.ts';
import type { BundleExit } from './bundle-runtime.ts';
import { carryInput } from './carry-input.ts';
import { endContainer, forgetContainer } from './container-end.ts';
import { hooksAfterStart } from './container-hooks.ts';
import { openStdio } from './container-life.ts';
import { recoverExecs, reopenExecs } from './exec-life.ts';
import { HeldStdio } from './held-stdio.ts';
import { clearAway, follow } from './sandbox-life.ts';

export async function recoverBundles(context: BundleContext): Promise<void> {
  await context.paths.make();
  for (const record of await loadBundleSandboxes(context.paths))
    context.sandboxes.set(record.id, { record, stopping: false, ended: new Deferred() });
  for (const record of await loadBundleContainers(context.paths)) await adoptRecord(context, record);
  await recoverExecs(context);
  await context.hooks.load();
  for (const sandbox of [...context.sandboxes.values()]) await recoverSandbox(context, sandbox);
  await removeOrphans(context);
  // Nobody waits for a hook of somebody's.
  void context.hooks.settle(({ id }) => !context.containers.has(id));
}

async function adoptRecord(context: BundleContext, record: BundleContainerRecord): Promise<void> {
  const held = new HeldStdio(context.options.keeper, record.stdio);
  if (!context.sandboxes.has(record.sandboxId)) {
    await held.release();
    return deleteBundleContainer(context.paths, record.id);
  }
  const exited = new Deferred<BundleExit>();
  if (record.exit) exited.resolve(record.exit);
  const made = new Deferred<void>();
  context.containers.set(record.id, { record, exited, made, held, execs: new Map(), oomKilled: false });
}

async function recoverSandbox(context: BundleContext, sandbox: LiveSandbox): Promise<void> {
  const { record } = sandbox;
  // Never answered: whoever asked will ask again. Or answered as gone.
  if (record.state === 'creating' || record.state === 'deleting') return clearAway(context, record.id);
  for (const container of context.containersOf(record.id))
    if (container.record.state === 'creating') await forgetUnanswered(context, container);
  // Made for a container that was never answered for: what its hooks have put into its network they are about to take away.
  const { hookedFor } = record;
  if (hookedFor && context.hooks.has(hookedFor) && context.containersOf(record.id).length === 0)
    return clearAway(context, record.id);
  if (record.state === 'notready') {
    await releaseAll(context, sandbox);
    return sandbox.ended.resolve();
  }
  const machine = await context.vmm(record.request.handler).find(context.paths.machine(record.id));
  if (!machine) return endAll(context, sandbox);
  for (const container of context.containersOf(record.id)) {
    await reopen(context, container);
    await reopenExecs(context, container);
  }
  follow(context, sandbox, machine, true);
  if (record.request.network === 'netns') await context.options.joinNetns?.adopt(record.request);
  // Not before: who carries output asks for the agent at once, and gives up where there is none.
  for (const { made, execs } of context.containersOf(record.id)) {
    made.resolve();
    for (const exec of execs.values()) if (exec.record.state !== 'created') exec.made.resolve();
  }
  for (const container of context.containersOf(record.id))
    if (container.record.state === 'running') void hooksAfterStart(context, container);
}

/** How long one who was not answered may take to ask again. */
const graceMs = 30_000;

/** Its client still reads, and would be gone if it met the end of its FIFOs before it is asked for again. */
async function forgetUnanswered(context: BundleContext, container: LiveContainer): Promise<void> {
  const { id } = container.record;
  await forgetContainer(context, container, { isHeld: false });
  const { clock } = context.options;
  void clock.sleep(graceMs, context.closing.signal).then(
    () => (context.containers.has(id) ? undefined : container.held.release()),
    () => {},
  );
}

/** Nobody will carry anything to the clients of what was in it. */
async function releaseAll(context: BundleContext, { record }: LiveSandbox): Promise<void> {
  for (const { held, execs } of context.containersOf(record.id))
    await Promise.all([held, ...[...execs.values()].map((exec) => exec.held)].map((one) => one.release()));
}

/** The client's paths, where they are still there. */
async function reopen(context: BundleContext, container: LiveContainer): Promise<void> {
  try {
    await openStdio(context, container, { isNew: false });
    const { state } = container.record;
    if (container.input && state !== 'created' && state !== 'stopped') carryInput(context, container, container.input);
  } catch (error) {
    context.options.log.warn(
      { container: container.record.id },
      `its stdio cannot be opened again: ${messageOf(error)}`,
    );
    await container.held.release();
  }
}

async function endAll(context: BundleContext, sandbox: LiveSandbox): Promise<void> {
  const { record, ended } = sandbox;
  record.state = 'notready';
  record.endedAtNanos = context.nowNanos();
  record.message = 'the machine ended while the runtime was down';
  await context.vmm(record.request.handler).destroy(context.paths.machine(record.id));
  await context.note(record.id, () => saveBundleSandbox(context.paths, record));
  for (const container of context.containersOf(record.id))
    await endContainer(context, container, {
      exitCode: 137,
      oomKilled: false,
      finishedAtUnixNanos: context.nowNanos(),
      message: record.message,
    });
  await releaseAll(context, sandbox);
  ended.resolve();
}

/** Machines, shares and network attachments without a record: the record is written first and goes last, so nobody owns these. */
async function removeOrphans(context: BundleContext): Promise<void> {
  const { vmms, network, mounts } = context.options;
  const names = new Set([...context.sandboxes.keys()].map(machineNameOf));
  const machines = join(context.paths.run, 'vm');
  for (const name of await readdir(machines).catch(() => [] as string[]))
    if (!names.has(name)) for (const vmm of Object.values(vmms)) await vmm.destroy(join(machines, name));
  for (const id of await readdir(context.paths.shares()).catch(() => [] as string[]))
    if (!context.sandboxes.has(id)) await mounts.release(context.paths.share(id));
  for (const { sandboxId } of await network.list()) if (!names.has(sandboxId)) await network.detach(sandboxId);
}
