/**
 * Sandboxes of bundles: a machine with a share, a network if asked for, and no disks.
 *
 *   record ──▶ share + network ──▶ machine ──▶ "ready" ──▶ (machine ends, stop) ──▶ "notready" ──delete──▶ gone
 */

import { randomBytes } from 'node:crypto';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Attachment } from '../../network/network.ts';
import type { Machine } from '../../vmm/vmm.ts';
import type { Agent, GuestSession, SandboxSetup } from '../agent/agent.ts';
import { Deferred } from '../deferred.ts';
import { AgentLink } from '../sandbox/vm/agent-link.ts';
import { machineShape } from '../sandbox/vm/machine-shape.ts';
import { guestNetwork } from '../sandbox/vm/sandbox-setup.ts';
import type { BundleContext, LiveSandbox } from './bundle-context.ts';
import { type BundleSandboxRecord, deleteBundleSandbox, machineNameOf, saveBundleSandbox } from './bundle-records.ts';
import { type BundleSandbox, type CreateBundleSandbox, type HookedBundle, stoppedOnRequest } from './bundle-runtime.ts';
import { endContainer, forgetContainer, onAgentEvent, reconcile } from './container-end.ts';
import { hooksBeforeMachine, joinHooked } from './hooked-network.ts';
import { machineGroup, machinePlace } from './machine-place.ts';

export const shareTag = 'bundle';
/** Where the agent mounts a share (guest/PROTOCOL.md, 1). */
export const guestShare = `/run/sampan/shares/${shareTag}`;
const killedExit = 137;

export async function createSandbox(
  context: BundleContext,
  request: CreateBundleSandbox,
  hooked?: HookedBundle,
): Promise<BundleSandbox> {
  checkId(request.id);
  await context.leaving.get(request.id);
  if (context.sandboxes.has(request.id)) throw new SampanError('AlreadyExists', `sandbox ${request.id} exists already`);
  const vmm = context.vmm(request.handler);
  const sandbox: LiveSandbox = {
    record: newRecord(context, request),
    stopping: false,
    isFresh: true,
    ended: new Deferred(),
  };
  context.sandboxes.set(request.id, sandbox);
  try {
    const { record } = sandbox;
    await context.step('bundle-sandbox');
    await saveBundleSandbox(context.paths, record);
    if (hooked) await hooksBeforeMachine(context, sandbox, hooked);
    await context.step('bundle-network');
    const share = context.paths.share(request.id);
    const [attachment] = await Promise.all([attach(context, sandbox), context.options.mounts.prepare(share)]);
    if (attachment) record.attachment = attachment;
    await saveBundleSandbox(context.paths, record);
    await context.step('bundle-machine');
    const leave = await context.startGate.enter('machine');
    const machine = await vmm
      .create({
        id: machineNameOf(request.id),
        directory: context.paths.machine(request.id),
        shape: record.shape,
        disks: [],
        shares: [{ tag: shareTag, directory: share, readOnly: false }],
        ...machinePlace(request, attachment),
        ...machineGroup(request),
      })
      .finally(leave);
    if (isJoinedLater(request)) record.attachment = await attachBridge(context, request, machine.netnsPath);
    await context.step('bundle-ready');
    record.state = 'ready';
    follow(context, sandbox, machine, false);
    await saveBundleSandbox(context.paths, record);
    await context.step('bundle-answer');
    return describeSandbox(sandbox);
  } catch (error) {
    await deleteSandbox(context, request.id).catch((failure) =>
      context.options.log.error(
        { sandbox: request.id, error: messageOf(failure) },
        'cannot undo a sandbox; a restart will',
      ),
    );
    throw error;
  }
}

export function checkId(id: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(id))
    throw new SampanError('Invalid', `id "${id.slice(0, 80)}": wanted 1-200 letters, digits, '.', '_' or '-'`);
}

function newRecord(context: BundleContext, request: CreateBundleSandbox): BundleSandboxRecord {
  const { cpuMillicores, memoryBytes } = request.resources ?? {};
  const resources = {
    ...(cpuMillicores ? { cpuQuota: BigInt(cpuMillicores) * 100n, cpuPeriod: 100_000n } : {}),
    ...(memoryBytes ? { memoryLimitInBytes: BigInt(memoryBytes) } : {}),
  };
  const { shape, memoryLimitBytes } = machineShape({ resources }, context.options.defaults);
  const createdAtNanos = context.nowNanos();
  return { id: request.id, request, state: 'creating', message: '', createdAtNanos, shape, memoryLimitBytes };
}

async function attach(context: BundleContext, sandbox: LiveSandbox): Promise<Attachment | undefined> {
  const { joinNetns } = context.options;
  const { request, ownNetns } = sandbox.record;
  if (ownNetns && request.network === 'none') return joinHooked(context, sandbox);
  if (request.network === 'none' || request.network === 'host' || isJoinedLater(request)) return undefined;
  if (request.network === 'netns') {
    if (!joinNetns || !request.netnsPath)
      throw new SampanError('Unsupported', `sandbox ${request.id}: this runtime joins no network namespaces`);
    return joinNetns.attach(request);
  }
  return attachBridge(context, request);
}

/** A machine on the host has its namespace once it runs. */
const isJoinedLater = ({ handler, network }: CreateBundleSandbox): boolean =>
  handler === 'namespace' && network === 'bridge';

function attachBridge(context: BundleContext, request: CreateBundleSandbox, netnsPath?: string): Promise<Attachment> {
  return context.options.network.attach({
    sandboxId: machineNameOf(request.id),
    podNamespace: 'bundle',
    podName: request.hostname,
    podUid: machineNameOf(request.id),
    ...(netnsPath ? { netnsPath } : {}),
  });
}

/** Connects to the agent and watches the machine until both end. */
export function follow(context: BundleContext, sandbox: LiveSandbox, machine: Machine, adopted: boolean): void {
  const { clock, log, connectAgent } = context.options;
  const { id, request } = sandbox.record;
  sandbox.machine = machine;
  sandbox.link = new AgentLink({
    connect: connectAgent,
    channelPath: machine.channelPath,
    sandboxId: id,
    setup: () => setupOf(sandbox.record, BigInt(clock.now()) * 1_000_000n),
    adopted,
    onEvent: (event) => onAgentEvent(context, sandbox, event),
    onResumed: (agent: Agent) => reconcile(context, sandbox, agent),
    onLost: (error) => {
      void sandboxEnded(context, sandbox, `its agent was lost: ${messageOf(error)}`);
      void context
        .vmm(request.handler)
        .destroy(machine.directory)
        .catch(() => {});
    },
    clock,
    log,
  });
  void machine.exited.then(({ kind, message }) => {
    if (!context.closing.signal.aborted) return sandboxEnded(context, sandbox, `${kind}: ${message.slice(0, 1024)}`);
  });
}

function setupOf(record: BundleSandboxRecord, nowNanos: bigint): SandboxSetup {
  const { request, attachment } = record;
  const servers = attachment?.nameservers ?? [];
  return {
    hostname: request.hostname || 'localhost',
    machineId: `${machineNameOf(record.id)}00000000`,
    entropy: randomBytes(64).toString('base64'),
    timeUnixNanos: nowNanos.toString(),
    ...(attachment ? { network: guestNetwork(attachment) } : {}),
    resolvConf: request.resolvConf ?? servers.map((server) => `nameserver ${server}\n`).join(''),
    sysctls: request.sysctls ?? {},
    sharePidNamespace: request.sharePidNamespace ?? false,
    disks: [],
    memoryLimitBytes: record.memoryLimitBytes,
  };
}

/** The machine is gone, and its containers with it. Idempotent. */
async function sandboxEnded(context: BundleContext, sandbox: LiveSandbox, message: string): Promise<void> {
  if (sandbox.stopping || sandbox.record.state !== 'ready') return;
  context.options.log.warn({ sandbox: sandbox.record.id }, `a machine ended: ${message}`);
  await settle(context, sandbox, `the machine ended: ${message}`);
  context.events.tell({ type: 'sandbox-ended', sandboxId: sandbox.record.id, message });
}

async function settle(context: BundleContext, sandbox: LiveSandbox, message: string): Promise<void> {
  const { record } = sandbox;
  if (record.state !== 'deleting') record.state = 'notready';
  record.message = message;
  const finishedAtUnixNanos = context.nowNanos();
  record.endedAtNanos ??= finishedAtUnixNanos;
  sandbox.link?.close(new SampanError('ServiceUnavailable', `sandbox ${record.id}: ${message}`));
  for (const container of context.containersOf(record.id))
    await endContainer(context, container, { exitCode: killedExit, oomKilled: false, finishedAtUnixNanos, message });
  await context.note(record.id, () => saveBundleSandbox(context.paths, record));
  sandbox.ended.resolve();
}

export async function stopSandbox(context: BundleContext, id: string): Promise<void> {
  const sandbox = context.sandboxes.get(id);
  if (!sandbox) return;
  await context.locks.run(`sandbox ${id}`, async () => {
    await context.step('bundle-stop');
    sandbox.stopping = true;
    sandbox.link?.close(new SampanError('ServiceUnavailable', `sandbox ${id} is being stopped`));
    await context.vmm(sandbox.record.request.handler).destroy(context.paths.machine(id));
    await context.step('bundle-settle');
    await settle(context, sandbox, sandbox.record.message || stoppedOnRequest);
    await context.step('bundle-detach');
    await detach(context, sandbox.record);
  });
}

/** By what the request says, not by what is known to be attached: a crash may have come between. */
async function detach(context: BundleContext, { id, request, ownNetns }: BundleSandboxRecord): Promise<void> {
  if (request.network === 'bridge') await context.options.network.detach(machineNameOf(id));
  if (request.network === 'netns') await context.options.joinNetns?.detach(id);
  if (ownNetns) await context.options.hookNamespaces.remove(ownNetns);
}

export async function dialSandbox(context: BundleContext, id: string, port: number): Promise<GuestSession> {
  const { link, record } = context.sandbox(id);
  if (!link || record.state !== 'ready')
    throw new SampanError('FailedPrecondition', `sandbox ${id} is not ready: ${record.message}`);
  return (await link.ready()).dial(port);
}

export async function deleteSandbox(context: BundleContext, id: string): Promise<void> {
  await context.leaving.get(id);
  if (context.sandboxes.has(id)) await clearAway(context, id);
  await context.hooks.settle((record) => record.sandboxId === id && !context.containers.has(record.id));
}

/** It counts as gone from now on, whatever happens. False when a crash would forget that. */
export async function leaveSandbox(context: BundleContext, sandbox: LiveSandbox): Promise<boolean> {
  sandbox.stopping = true;
  sandbox.record.state = 'deleting';
  return context.note(sandbox.record.id, () => saveBundleSandbox(context.paths, sandbox.record));
}

/** A sandbox that counts as gone is cleared away behind its caller's back. */
export function clearBehind(context: BundleContext, { record: { id } }: LiveSandbox): void {
  const left = clearAway(context, id).catch((error) =>
    context.options.log.error(
      { sandbox: id, error: messageOf(error) },
      'a sandbox is not cleared away; a restart will',
    ),
  );
  context.leaving.set(id, left);
  void left.then(() => context.leaving.delete(id));
}

/** But for hooks that are owed. */
export async function clearAway(context: BundleContext, id: string): Promise<void> {
  await stopSandbox(context, id);
  for (const container of context.containersOf(id)) await forgetContainer(context, container);
  await context.step('bundle-release');
  await context.options.mounts.release(context.paths.share(id));
  await context.step('bundle-forget');
  await deleteBundleSandbox(context.paths, id);
  context.sandboxes.delete(id);
}

export function describeSandbox({ record, machine }: LiveSandbox): BundleSandbox {
  const address = record.attachment?.ipv4.address;
  return {
    id: record.id,
    handler: record.request.handler,
    state: record.state === 'ready' ? 'ready' : 'notready',
    message: record.message,
    createdAtUnixNanos: record.createdAtNanos,
    ...(record.endedAtNanos ? { endedAtUnixNanos: record.endedAtNanos } : {}),
    annotations: record.request.annotations,
    ...(address ? { address } : {}),
    pid: record.state === 'ready' ? (machine?.pid ?? process.pid) : 0,
  };
}
