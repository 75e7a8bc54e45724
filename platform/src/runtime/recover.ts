/**
 * recover(): after any end of the server before us, takes up what it left.
 *
 *   record "creating"               ──▶ nobody was told of it: everything of it is removed
 *   record "ready",    machine runs ──▶ adopted: agent reconnected, containers compared, logs go on
 *   record "ready",    machine gone ──▶ not ready; its containers have exited
 *   record "notready"               ──▶ what it still holds is released
 *   traces without a record         ──▶ removed (machines, network attachments, scratch disks and the pins they witness)
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { Container } from './containers/container.ts';
import { resumePoint, startPump } from './containers/container-output.ts';
import type { Context } from './context.ts';
import { deleteContainer, loadContainers } from './records/container-record.ts';
import {
  deleteSandbox,
  listSandboxIds,
  loadSandbox,
  machineName,
  removePodDirectory,
  type SandboxRecord,
} from './records/sandbox-record.ts';
import { Sandbox } from './sandbox/vm/sandbox.ts';
import { destroyMachine, releaseResources } from './sandbox/vm/sandbox-release.ts';
import { beginSandbox, failContainers, machineEnded } from './sandbox/vm/sandbox-watch.ts';
import { watchVolumes } from './volumes/volume-make.ts';

/** Throws when the state cannot be read at all; one sandbox that cannot be taken up is logged and does not stop the others. */
export async function recover(context: Context): Promise<void> {
  const { paths } = context;
  for (const directory of [paths.pods(), paths.machines(), paths.scratches()])
    await mkdir(directory, { recursive: true, mode: 0o711 });
  const ids = await listSandboxIds(paths);
  await Promise.all(ids.map((id) => isolated(context, id, () => recoverSandbox(context, id))));
  await removeStrays(context);
  // The first Pod should not be the one that waits for it.
  await context.scratch.prepare();
}

async function isolated(context: Context, sandboxId: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    context.log.error({ sandboxId, error: messageOf(error) }, 'cannot take up a sandbox');
  }
}

async function recoverSandbox(context: Context, id: string): Promise<void> {
  const record = await loadSandbox(context.paths, id);
  if (!record || record.state === 'creating') {
    context.log.info({ sandboxId: id }, 'removing a sandbox that was never finished');
    // A name that is no id of ours was never given to anybody below.
    if (record) await releaseResources(context, id);
    return deleteSandbox(context.paths, id);
  }
  const sandbox = await load(context, record);
  context.sandboxes.set(id, sandbox);
  if (record.state === 'notready') {
    // Its machine is gone or about to be; a sandbox that went by itself keeps its address until it is stopped.
    if (record.message === '') {
      await failContainers(context, sandbox, 'the sandbox was stopped');
      await releaseResources(context, id);
    }
    return;
  }
  const machine = await context.vmm(record.runtimeHandler).find(context.paths.machine(id));
  if (!machine) {
    await machineEnded(context, sandbox, { kind: 'killed', message: 'it was gone when the server came back' });
    return context.vmm(record.runtimeHandler).destroy(context.paths.machine(id));
  }
  const live = [...sandbox.containers.values()].filter(({ record }) => record.state !== 'exited');
  const points = await Promise.all(live.map(resumePoint));
  beginSandbox(context, sandbox, machine, true);
  // In the same turn: an exit that the guest tells waits for the output, so the pumps must be there.
  const after = Promise.resolve();
  for (const [index, container] of live.entries())
    startPump(context, sandbox, container, { from: points[index], after });
  watchVolumes(context, sandbox);
}

/** The sandbox with its containers; those that were never finished are forgotten (reconciling removes them from the guest). */
async function load(context: Context, record: SandboxRecord): Promise<Sandbox> {
  const sandbox = new Sandbox(record);
  sandbox.stopping = record.state === 'notready';
  for (const volume of record.volumes) sandbox.volumes.set(volume.id, Promise.resolve());
  for (const imageId of Object.keys(record.images)) sandbox.unsureImages.add(imageId);
  for (const containerRecord of await loadContainers(context.paths, record.id)) {
    if (containerRecord.state === 'creating') {
      await deleteContainer(context.paths, containerRecord);
      continue;
    }
    const container = new Container(containerRecord);
    sandbox.containers.set(container.id, container);
    context.containers.set(container.id, container);
  }
  return sandbox;
}

/** What has no record: the host was restarted (run/ is empty then, home/ is not), or a record could not be read. */
async function removeStrays(context: Context): Promise<void> {
  const { paths, scratch, options } = context;
  const owned = new Set(context.sandboxes.keys());
  const machines = new Set([...owned].map(machineName));
  for (const name of await readdir(paths.machines()))
    if (!machines.has(name))
      await isolated(context, name, () => destroyMachine(context, `${paths.machines()}/${name}`));
  for (const { sandboxId } of await options.network.list())
    if (!owned.has(sandboxId)) await isolated(context, sandboxId, () => options.network.detach(sandboxId));
  for (const name of await readdir(paths.shares()).catch((): string[] => []))
    if (!machines.has(name)) await rm(join(paths.shares(), name), { recursive: true, force: true });
  for (const id of await scratch.list())
    if (!owned.has(id)) await isolated(context, id, () => releaseResources(context, id));
  // Records that could not be read.
  for (const id of await listSandboxIds(paths)) if (!owned.has(id)) await removePodDirectory(paths, id);
}
