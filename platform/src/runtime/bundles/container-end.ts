/** How containers of bundles end, however they do: what the agent tells, what a new connection finds, a machine that dies, delete. */
import { messageOf } from '@sampan/api/errors.ts';
import type { Agent, AgentEvent, ExitInfo } from '../agent/agent.ts';
import type { BundleContext, LiveContainer, LiveSandbox } from './bundle-context.ts';
import { deleteBundleContainer, saveBundleContainer } from './bundle-records.ts';
import type { BundleExit } from './bundle-runtime.ts';
import { hooksAfterStart } from './container-hooks.ts';
import { endExecs, execEnded, forgetExec, reconcileExecs } from './exec-life.ts';

const killedExit = 137;

export function onAgentEvent(context: BundleContext, sandbox: LiveSandbox, event: AgentEvent): void {
  if (event.type === 'closed') return;
  const container = context.containers.get(event.containerId);
  if (!container && event.type === 'exited')
    return void execEnded(context, context.containersOf(sandbox.record.id), event.containerId, event.exit);
  if (container?.record.sandboxId !== sandbox.record.id) return;
  if (event.type === 'oom') {
    container.oomKilled = true;
    context.events.tell({ type: 'oom', containerId: event.containerId });
  } else void endContainer(context, container, exitOf(container, event.exit));
}

function exitOf(container: LiveContainer, exit: ExitInfo): BundleExit {
  return {
    exitCode: exit.exitCode,
    oomKilled: exit.reason === 'OOMKilled' || container.oomKilled,
    finishedAtUnixNanos: exit.finishedAtUnixNanos,
    message: exit.message,
  };
}

/** Its first process is gone, and with it every other. Idempotent: the first word counts. */
export async function endContainer(context: BundleContext, container: LiveContainer, exit: BundleExit): Promise<void> {
  const { record } = container;
  if (record.state === 'stopped') return;
  record.state = 'stopped';
  record.exit = exit;
  void container.input?.close();
  try {
    await context.step('bundle-exit');
    await saveBundleContainer(context.paths, record);
  } catch (error) {
    context.options.log.error({ container: record.id, error: messageOf(error) }, "cannot record a container's end");
  }
  if (context.sandboxes.get(record.sandboxId)?.record.state === 'notready')
    await endExecs(context, container, exit.message);
  context.events.tell({ type: 'exited', containerId: record.id, exit });
  container.exited.resolve(exit);
}

/** A new connection to the agent: what happened meanwhile is compared. */
export async function reconcile(context: BundleContext, sandbox: LiveSandbox, agent: Agent): Promise<void> {
  const known = new Map((await agent.listContainers()).map((status) => [status.id, status]));
  const finishedAtUnixNanos = context.nowNanos();
  for (const container of context.containersOf(sandbox.record.id)) {
    const { record } = container;
    const status = known.get(record.id);
    known.delete(record.id);
    await reconcileExecs(context, container, known, agent);
    if (status?.exit) await endContainer(context, container, exitOf(container, status.exit));
    else if (status?.state === 'running' && record.state === 'created') {
      record.state = 'running';
      record.startedAtNanos = status.startedAtUnixNanos;
      record.guestPid = status.pid;
      await context.note(record.id, () => saveBundleContainer(context.paths, record));
      void hooksAfterStart(context, container);
    } else if (!status && (record.state === 'running' || record.state === 'paused'))
      await endContainer(context, container, {
        exitCode: killedExit,
        oomKilled: false,
        finishedAtUnixNanos,
        message: 'its machine no longer knows it',
      });
  }
  // Half made by a call that was never answered.
  for (const id of known.keys()) if (!context.containers.has(id)) await agent.removeContainer(id);
}

/** Lets go of everything a container holds on the host, but for mounts that go with its sandbox, and FIFOs where the same client asks again. Idempotent. */
export async function forgetContainer(
  context: BundleContext,
  container: LiveContainer,
  { isMounted = true, isHeld = true } = {},
): Promise<void> {
  const { id, sandboxId } = container.record;
  await Promise.all([container.pump?.stop(), container.input?.close()]);
  if (isHeld) await container.held.release();
  for (const exec of [...container.execs.values()]) await forgetExec(context, container, exec);
  await context.step('bundle-unmount');
  if (isMounted) await context.options.mounts.release(context.paths.part(sandboxId, id));
  await context.step('bundle-forget-container');
  await deleteBundleContainer(context.paths, id);
  context.containers.delete(id);
}
