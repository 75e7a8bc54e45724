/** Containers of bundles: create, start, kill, delete. Each call runs under the container's lock; how they end is container-end.ts. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import { Deferred } from '../deferred.ts';
import { agentOf } from './agent-of.ts';
import type { BundleContext, LiveContainer, LiveSandbox } from './bundle-context.ts';
import { type BundleContainerRecord, saveBundleContainer } from './bundle-records.ts';
import type { BundleContainer, BundleExit, CreateBundleContainer, DeleteBundleContainer } from './bundle-runtime.ts';
import { carryInput } from './carry-input.ts';
import { containerCgroup } from './cgroup-path.ts';
import { endContainer, forgetContainer } from './container-end.ts';
import { hooksAfterStart, hooksAtCreate } from './container-hooks.ts';
import { guestConfig } from './guest-config.ts';
import { HeldStdio } from './held-stdio.ts';
import { type OciConfig, readOciConfig } from './oci-config.ts';
import { OutputPump } from './output-pump.ts';
import {
  checkId,
  clearBehind,
  deleteSandbox,
  guestShare,
  leaveSandbox,
  shareTag,
  stopSandbox,
} from './sandbox-life.ts';
import { sharedByHost, shareWithHost } from './shared-mounts.ts';
import { shmVolume } from './shm-volume.ts';
import { openInput, openOutput } from './stdio-ends.ts';

const signals = { kill: 9, term: 15 };
/** Where the agent makes volumes of memory (guest/PROTOCOL.md, 1). */
const guestVolumes = '/run/sampan/volumes';
/** How long delete waits for a client to read what is left. */
const drainMs = 10_000;

export async function createContainer(
  context: BundleContext,
  request: CreateBundleContainer,
): Promise<BundleContainer> {
  checkId(request.id);
  if (context.containers.has(request.id))
    throw new SampanError('AlreadyExists', `container ${request.id} exists already`);
  const sandbox = context.sandbox(request.sandboxId);
  const config = request.config ?? (await readOciConfig(request.bundle));
  const { sysctls, sharePidNamespace, podFiles, hostNamespaces = [] } = sandbox.record.request;
  const sharesPids = sharePidNamespace === true || hostNamespaces.includes('pid');
  const shm = await shmVolume(config);
  const guest = guestConfig(config, {
    sharePath: `${guestShare}/${request.id}`,
    ...(sysctls ? { sysctls } : {}),
    mayJoinPids: sharesPids || request.pidNamespaceOf !== undefined,
    podFiles: podFiles === true,
    onHost: sandbox.record.request.handler === 'namespace',
    hosts: hostNamespaces,
    isSharedByHost: await sharedByHost(config),
    shmPath: shm && `${guestVolumes}/${shm.id}`,
  });
  const container: LiveContainer = {
    record: newRecord(context, request, config),
    exited: new Deferred(),
    made: new Deferred(),
    held: new HeldStdio(context.options.keeper, request.stdio),
    execs: new Map(),
    oomKilled: false,
  };
  context.containers.set(request.id, container);
  try {
    await context.step('bundle-container');
    await saveBundleContainer(context.paths, container.record);
    await context.step('bundle-mounts');
    await context.options.mounts.bind(context.paths.part(request.sandboxId, request.id), request.rootfs, guest.carried);
    for (const mount of guest.shared) await shareWithHost(sandbox, mount);
    await context.step('bundle-stdio');
    await openStdio(context, container, { isNew: true });
    const agent = await agentOf(context, container);
    await context.step('bundle-guest');
    // Carried out in this order: the second need not wait for the first one's answer.
    const sharing = agent.createVolume({ id: shareTag, kind: 'share', tag: shareTag });
    const sized = shm && agent.createVolume(shm);
    const filter = context.filters.of(guest.spec);
    const cgroup = containerCgroup(config, sandbox.record.request.cgroup);
    const making = agent.createContainer({
      id: request.id,
      rootfs: { volumeId: shareTag, subPath: `${request.id}/rootfs`, readOnly: guest.readOnlyRootfs },
      spec: guest.spec,
      mounts: [],
      readOnlyRootfs: guest.readOnlyRootfs,
      tty: request.tty,
      stdin: container.input !== undefined,
      stdinOnce: true,
      // Callers of ours do something of their own between a container's creation and its start.
      ready: true,
      ...(filter === undefined ? {} : { filter }),
      ...(cgroup ? { cgroup } : {}),
      ...(request.name && config.hooks?.startContainer?.length ? { name: request.name } : {}),
      ...(guest.joinsPids && request.pidNamespaceOf ? { pidNamespaceOf: request.pidNamespaceOf } : {}),
      ...(sharesPids && guest.ownsPids ? { ownPidNamespace: true } : {}),
    });
    making.catch(() => {});
    await Promise.all([sharing, sized]);
    await making;
    container.made.resolve();
    if (filter === undefined)
      container.learning = context.filters.learn(
        { id: request.id, spec: guest.spec, sandbox, agent },
        context.options.log,
      );
    await context.step('bundle-made');
    await hooksAtCreate(context, container, request.name ?? request.id, config);
    container.record.state = 'created';
    await saveBundleContainer(context.paths, container.record);
    await context.step('bundle-created');
    context.events.tell({ type: 'created', containerId: request.id });
    return describeContainer(context, container);
  } catch (error) {
    await undo(context, container);
    throw error;
  }
}

function newRecord(
  context: BundleContext,
  { id, sandboxId, bundle, rootfs, stdio, tty }: CreateBundleContainer,
  config: OciConfig,
): BundleContainerRecord {
  const memory = (config.linux?.resources?.memory ?? {}) as { limit?: number };
  return {
    ...{ id, sandboxId, bundle, rootfs, stdio, tty },
    annotations: config.annotations ?? {},
    memoryLimitBytes: Math.max(0, Number(memory.limit ?? 0)),
    state: 'creating',
    createdAtNanos: context.nowNanos(),
    startedAtNanos: 0n,
    guestPid: 0,
  };
}

/** What cannot be undone now is found by recover(): the record stays. */
async function undo(context: BundleContext, container: LiveContainer): Promise<void> {
  const { id, sandboxId } = container.record;
  await container.pump?.stop();
  container.made.reject(new SampanError('NotFound', `container ${id} was given up`));
  try {
    const sandbox = context.sandboxes.get(sandboxId);
    if (sandbox?.record.state === 'ready') await (await sandbox.link?.ready())?.removeContainer(id);
    await forgetContainer(context, container);
    await context.hooks.settle((record) => record.id === id);
  } catch (error) {
    context.options.log.error({ container: id, error: messageOf(error) }, 'cannot undo a container; a restart will');
  }
}

/** Opens what the client named. Nothing is carried before there is an agent. */
export async function openStdio(
  context: BundleContext,
  container: LiveContainer,
  { isNew }: { isNew: boolean },
): Promise<void> {
  const { id, stdio, tty } = container.record;
  // The client of a container that was there before may have gone for good.
  const clock = isNew ? context.options.clock : undefined;
  container.input = await openInput(stdio.stdin, {
    onOpen: () => void container.held.hold('input', [stdio.stdin]),
  });
  const stdout = await openOutput(stdio.stdout, clock);
  const stderr = await openOutput(tty ? undefined : stdio.stderr, clock);
  await container.held.hold('output', [stdout.fifo, stderr.fifo]);
  container.pump = new OutputPump({
    containerId: id,
    ...{ stdout, stderr },
    // Only a container that the agent has can be read from.
    agent: async () => {
      await container.made.promise;
      return agentOf(context, container);
    },
    onError: (message) => context.options.log.warn({ container: id }, `its output is lost from here on: ${message}`),
  });
  container.held.releaseAfter(container.pump.done, context.closing.signal, [stdout.fifo, stderr.fifo]);
}

export async function startContainer(context: BundleContext, id: string): Promise<BundleContainer> {
  const container = context.container(id);
  const { record } = container;
  // Asked again by somebody who did not get the answer.
  if (record.state === 'stopped' && record.startedAtNanos > 0n) return describeContainer(context, container);
  if (record.state === 'stopped')
    throw new SampanError('FailedPrecondition', `container ${id} has stopped; it cannot be started again`);
  if (record.state === 'created') {
    const agent = await agentOf(context, container);
    await container.learning;
    context.sandbox(record.sandboxId).isFresh = false;
    await context.step('bundle-start');
    const { startedAtUnixNanos, pid } = await agent.startContainer(id);
    await context.step('bundle-started');
    record.guestPid = pid ?? 0;
    record.startedAtNanos = startedAtUnixNanos;
    // The agent may have told of the end before its answer came.
    if ((record.state as string) !== 'stopped') record.state = 'running';
    await context.note(id, () => saveBundleContainer(context.paths, record));
    context.events.tell({ type: 'started', containerId: id });
    if (container.input) carryInput(context, container, container.input);
  }
  await hooksAfterStart(context, container);
  return describeContainer(context, container);
}

export async function killContainer(context: BundleContext, id: string, signal: number, all: boolean): Promise<void> {
  const container = context.container(id);
  const { record } = container;
  if (record.state === 'stopped') throw new SampanError('NotFound', `container ${id}: process already finished`);
  if (record.state === 'created') {
    if (signal !== signals.kill && signal !== signals.term)
      throw new SampanError('FailedPrecondition', `container ${id} is created, not running`);
    const exit = { exitCode: 128 + signal, oomKilled: false, finishedAtUnixNanos: context.nowNanos() };
    return endContainer(context, container, { ...exit, message: 'it was killed before it started' });
  }
  const agent = await agentOf(context, container);
  await context.step('bundle-kill');
  await agent.signal(id, signal, all);
}

export async function deleteContainer(
  context: BundleContext,
  id: string,
  { force = false, withSandbox = false }: DeleteBundleContainer,
): Promise<BundleExit> {
  const container = context.container(id);
  const { record } = container;
  if (record.state !== 'stopped' && record.state !== 'created' && !force)
    throw new SampanError('FailedPrecondition', `container ${id} is ${record.state}; kill it first`);
  const isAlive = context.sandboxes.get(record.sandboxId)?.record.state === 'ready';
  const agent = isAlive ? await agentOf(context, container).catch(() => undefined) : undefined;
  // What never ran has nothing to say.
  if (record.state === 'stopped' && record.startedAtNanos > 0n && agent && container.pump)
    await within(context.options.clock, drainMs, container.pump.done);
  await context.step('bundle-delete');
  const sandbox = withSandbox ? context.sandboxes.get(record.sandboxId) : undefined;
  if (!sandbox) await agent?.removeContainer(id);
  else if (record.state === 'running' || record.state === 'paused') await stopSandbox(context, record.sandboxId);
  await context.step('bundle-deleted');
  const finishedAtUnixNanos = context.nowNanos();
  await endContainer(context, container, {
    exitCode: record.state === 'created' ? 0 : 128 + signals.kill,
    oomKilled: false,
    finishedAtUnixNanos,
    message: 'it was deleted',
  });
  const isLeft = sandbox && (await leaveSandbox(context, sandbox));
  await forgetContainer(context, container, { isMounted: !sandbox });
  if (isLeft && !isAwaited(context, sandbox, id)) clearBehind(context, sandbox);
  else if (sandbox) await deleteSandbox(context, sandbox.record.id);
  await context.hooks.settle((record) => record.id === id);
  const exit = container.record.exit!;
  context.events.tell({ type: 'deleted', containerId: id, exit });
  return exit;
}

/** Hooks run when everything is gone, before whoever asked hears of it; and who named a control group looks whether it is gone, and those above it can go. */
function isAwaited(context: BundleContext, { record }: LiveSandbox, id: string): boolean {
  const { cgroup } = record.request;
  return context.hooks.has(id) || (cgroup?.isOwn === true && !cgroup.isUsual);
}

export function describeContainer(context: BundleContext, { record }: LiveContainer): BundleContainer {
  const { id, sandboxId, bundle, rootfs, annotations, stdio, tty, guestPid } = record;
  const machine = context.sandboxes.get(sandboxId)?.machine;
  return {
    ...{ id, sandboxId, bundle, rootfs, annotations, stdio, tty, guestPid },
    state: record.state === 'creating' ? 'created' : record.state,
    pid: record.state === 'stopped' ? 0 : (machine?.pid ?? process.pid),
    createdAtUnixNanos: record.createdAtNanos,
    startedAtUnixNanos: record.startedAtNanos,
    ...(record.exit ? { exit: record.exit } : {}),
  };
}
