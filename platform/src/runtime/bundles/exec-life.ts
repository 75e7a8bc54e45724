/**
 * Exec processes in containers of bundles. The agent keeps them as it keeps containers: they, what they say and how they end outlive this process, and are found
 * again by recoverExecs() and reconcileExecs().
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { Agent, ExitInfo, GuestContainerStatus } from '../agent/agent.ts';
import { Deferred } from '../deferred.ts';
import { agentOf } from './agent-of.ts';
import type { BundleContext, LiveContainer, LiveExec } from './bundle-context.ts';
import type { BundleExec, BundleExit, StartBundleExec } from './bundle-runtime.ts';
import { carryInputTo } from './carry-input.ts';
import { type BundleExecRecord, deleteBundleExec, guestIdOf, loadBundleExecs, saveBundleExec } from './exec-records.ts';
import { HeldStdio } from './held-stdio.ts';
import { OutputPump } from './output-pump.ts';
import { openInput, openOutput } from './stdio-ends.ts';

const killedExit = 137;
const notStartedExit = 126;
const drainMs = 10_000;

export async function addExec(context: BundleContext, request: StartBundleExec): Promise<BundleExec> {
  const { containerId, execId } = request;
  const container = context.container(containerId);
  if (container.execs.has(execId))
    throw new SampanError('AlreadyExists', `container ${containerId} has a process ${execId} already`);
  if (container.record.state !== 'running' && container.record.state !== 'paused')
    throw new SampanError('FailedPrecondition', `container ${containerId} is ${container.record.state}, not running`);
  if (!request.process.args?.length) throw new SampanError('Invalid', 'process.args is empty');
  const exec = live(context, { id: guestIdOf(containerId, execId), request, state: 'created', guestPid: 0 });
  container.execs.set(execId, exec);
  try {
    await context.step('bundle-exec');
    await openStdio(context, exec, { isNew: true });
    await saveBundleExec(context.paths, exec.record);
    await context.step('bundle-exec-added');
  } catch (error) {
    await forgetExec(context, container, exec);
    throw error;
  }
  context.events.tell({ type: 'exec-added', containerId, execId, guestPid: 0 });
  return describeExec(exec);
}

const live = (context: BundleContext, record: BundleExecRecord): LiveExec => ({
  record,
  exited: new Deferred(),
  made: new Deferred(),
  held: new HeldStdio(context.options.keeper, record.request.stdio),
});

/** Opens what the client named. Nothing is carried before there is a process. */
async function openStdio(context: BundleContext, exec: LiveExec, { isNew }: { isNew: boolean }): Promise<void> {
  const { stdio, tty, containerId } = exec.record.request;
  const { clock, log } = context.options;
  exec.input = await openInput(stdio.stdin, { clock, onOpen: () => void exec.held.hold('input', [stdio.stdin]) });
  // The client of a process that was there before may have gone for good.
  const waiting = isNew ? clock : undefined;
  const stdout = await openOutput(stdio.stdout, waiting);
  const stderr = await openOutput(tty ? undefined : stdio.stderr, waiting);
  await exec.held.hold('output', [stdout.fifo, stderr.fifo]);
  exec.pump = new OutputPump({
    containerId: exec.record.id,
    ...{ stdout, stderr },
    agent: async () => {
      await exec.made.promise;
      return agentOf(context, context.container(containerId));
    },
    onError: (message) => log.debug({ container: containerId }, `the output of a process is lost: ${message}`),
  });
  exec.held.releaseAfter(exec.pump.done, context.closing.signal, [stdout.fifo, stderr.fifo]);
}

export async function startExec(context: BundleContext, containerId: string, execId: string): Promise<BundleExec> {
  const exec = context.exec(containerId, execId);
  exec.starting ??= start(context, exec);
  await exec.starting;
  return describeExec(exec);
}

async function start(context: BundleContext, exec: LiveExec): Promise<void> {
  const { record } = exec;
  const { containerId, execId } = record.request;
  if (record.state !== 'created') return;
  try {
    const agent = await agentOf(context, context.container(containerId));
    await context.step('bundle-exec-start');
    // The agent carries them out in this order, and what it says is asked for last: no need to wait in between.
    const created = agent.createExec(guestRequest(exec));
    const starting = agent.startContainer(record.id);
    exec.made.resolve();
    const [made, begun] = await Promise.allSettled([created, starting]);
    if (made.status === 'rejected') throw made.reason;
    if (begun.status === 'rejected') {
      await agent.removeContainer(record.id).catch(() => {});
      throw begun.reason;
    }
    await context.step('bundle-exec-started');
    runs(context, exec, begun.value.pid ?? 0);
  } catch (error) {
    exec.made.reject(error instanceof Error ? error : new Error(messageOf(error)));
    await end(context, exec, exitNow(context, notStartedExit, messageOf(error)));
    throw error;
  }
  context.events.tell({ type: 'exec-started', containerId, execId, guestPid: record.guestPid });
}

function guestRequest({ record: { id, request }, input, size: told }: LiveExec) {
  const { containerId, process, tty } = request;
  const { width, height } = process.consoleSize ?? {};
  const size = told ?? (width && height ? { columns: width, rows: height } : {});
  return { id, containerId, args: process.args, process, tty, stdin: input !== undefined, ...size };
}

function runs(context: BundleContext, exec: LiveExec, guestPid: number): void {
  const { record, input } = exec;
  record.state = 'running';
  record.guestPid = guestPid;
  exec.made.resolve();
  // Found again without it too: the agent knows. Nobody's answer waits for it.
  void saveBundleExec(context.paths, record).catch(() => {});
  const { containerId } = record.request;
  if (!input || exec.isFed) return;
  exec.isFed = true;
  carryInputTo(context, input, {
    id: record.id,
    agent: () => agentOf(context, context.container(containerId)),
    isOver: () => record.state === 'stopped',
    held: exec.held,
    stdin: record.request.stdio.stdin,
  });
}

/** What the agent tells of its end. False when it is no exec of this container's. */
export function execEnded(context: BundleContext, containers: LiveContainer[], id: string, exit: ExitInfo): boolean {
  const exec = containers.flatMap(({ execs }) => [...execs.values()]).find(({ record }) => record.id === id);
  if (!exec) return false;
  // One that ends at once is not told to have ended before it is told to have started.
  void Promise.resolve(exec.starting)
    .catch(() => {})
    .then(() => end(context, exec, exitOf(exit)));
  return true;
}

const exitOf = ({ exitCode, finishedAtUnixNanos, message }: ExitInfo): BundleExit => {
  return { exitCode, oomKilled: false, finishedAtUnixNanos, message };
};

const exitNow = (context: BundleContext, exitCode: number, message: string): BundleExit => {
  return { exitCode, oomKilled: false, finishedAtUnixNanos: context.nowNanos(), message };
};

async function end(context: BundleContext, exec: LiveExec, exit: BundleExit): Promise<void> {
  const { record } = exec;
  if (record.state === 'stopped') return;
  record.state = 'stopped';
  record.exit = exit;
  void exec.input?.close();
  try {
    await context.step('bundle-exec-exit');
    await saveBundleExec(context.paths, record);
  } catch (error) {
    context.options.log.error({ exec: record.id, error: messageOf(error) }, "cannot record a process's end");
  }
  const { containerId, execId } = record.request;
  context.events.tell({ type: 'exec-exited', containerId, execId, guestPid: record.guestPid, exit });
  exec.exited.resolve(exit);
}

export async function deleteExec(context: BundleContext, containerId: string, execId: string): Promise<BundleExit> {
  const exec = context.exec(containerId, execId);
  const container = context.container(containerId);
  const { record } = exec;
  if (record.state === 'running')
    throw new SampanError(
      'FailedPrecondition',
      `process ${execId} of container ${containerId} is running; kill it first`,
    );
  const hasRun = record.state === 'stopped' && record.guestPid > 0;
  if (record.state === 'created') await end(context, exec, exitNow(context, 0, 'it was deleted before it started'));
  if (hasRun) await delivered(context, exec);
  await context.step('bundle-exec-delete');
  const isAlive = context.sandboxes.get(container.record.sandboxId)?.record.state === 'ready';
  if (hasRun && isAlive)
    await agentOf(context, container)
      .then((agent) => agent.removeContainer(record.id))
      .catch((error) => context.options.log.debug({ exec: record.id, error: messageOf(error) }, 'not removed inside'));
  await forgetExec(context, container, exec);
  return record.exit!;
}

async function delivered(context: BundleContext, { pump }: LiveExec): Promise<void> {
  if (pump) await within(context.options.clock, drainMs, pump.done);
}

/** Lets go of what it holds on the host. Idempotent. */
export async function forgetExec(context: BundleContext, container: LiveContainer, exec: LiveExec): Promise<void> {
  const { record } = exec;
  // Nobody is told of a process that was never added; whoever waits for another is.
  if (record.state === 'running') await end(context, exec, exitNow(context, killedExit, 'it went with its container'));
  exec.made.promise.catch(() => {});
  await Promise.all([exec.pump?.stop(), exec.input?.close()]);
  await exec.held.release();
  exec.made.reject(new SampanError('NotFound', `process ${record.request.execId} was given up`));
  await deleteBundleExec(context.paths, record.id);
  container.execs.delete(record.request.execId);
}

export async function killExec(
  context: BundleContext,
  { containerId, execId }: { containerId: string; execId: string },
  signal: number,
): Promise<void> {
  const { record } = context.exec(containerId, execId);
  if (record.state === 'stopped')
    throw new SampanError('NotFound', `process ${execId} of container ${containerId}: process already finished`);
  if (record.state === 'created') throw new SampanError('FailedPrecondition', `process ${execId} has not been started`);
  await (await agentOf(context, context.container(containerId))).signal(record.id, signal);
}

/** Its container has no machine any more. */
export async function endExecs(context: BundleContext, container: LiveContainer, message: string): Promise<void> {
  for (const exec of container.execs.values())
    if (exec.record.state !== 'stopped') await end(context, exec, exitNow(context, killedExit, message));
}

/** Takes up the records of the process before this one. Containers are there already. */
export async function recoverExecs(context: BundleContext): Promise<void> {
  for (const record of await loadBundleExecs(context.paths)) {
    const { containerId, execId } = record.request;
    const container = context.containers.get(containerId);
    if (!container) {
      await live(context, record).held.release();
      await deleteBundleExec(context.paths, record.id);
      continue;
    }
    const exec = live(context, record);
    if (record.exit) exec.exited.resolve(record.exit);
    container.execs.set(execId, exec);
  }
}

/** The clients' paths, where they are still there. */
export async function reopenExecs(context: BundleContext, container: LiveContainer): Promise<void> {
  for (const exec of container.execs.values())
    try {
      await openStdio(context, exec, { isNew: false });
    } catch (error) {
      const { id } = exec.record;
      context.options.log.debug({ exec: id }, `its stdio cannot be opened again: ${messageOf(error)}`);
      await exec.held.release();
    }
}

/** Compares with what the agent knows, on each new connection; takes out of `known` what is an exec's. */
export async function reconcileExecs(
  context: BundleContext,
  container: LiveContainer,
  known: Map<string, GuestContainerStatus>,
  agent: Agent,
): Promise<void> {
  for (const exec of [...container.execs.values()]) {
    const { record } = exec;
    const status = known.get(record.id);
    known.delete(record.id);
    // Given up by a start whose connection broke, though the agent had begun it.
    if (record.state === 'stopped' && status && !status.exit) await agent.removeContainer(record.id);
    if (record.state === 'stopped') continue;
    if (status?.exit) {
      record.guestPid ||= status.pid;
      exec.made.resolve();
      await end(context, exec, exitOf(status.exit));
    } else if (status?.state === 'running') runs(context, exec, status.pid);
    // Begun by a call that was never answered, which will be made again.
    else if (status) await agent.removeContainer(record.id);
    else if (record.state === 'running')
      await end(context, exec, exitNow(context, killedExit, 'its machine no longer knows it'));
  }
}

export function describeExec({ record }: LiveExec): BundleExec {
  const { request, state, guestPid, exit } = record;
  const { containerId, execId, stdio, tty } = request;
  return { containerId, execId, state, guestPid, stdio, tty, ...(exit ? { exit } : {}) };
}
