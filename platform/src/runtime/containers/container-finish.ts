/** The end of a container: its last output is logged and its files are brought back before anybody is told. */
import { messageOf } from '@sampan/api/errors.ts';
import { within } from '../../base/within.ts';
import type { ExitInfo } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { type ContainerExit, saveContainer } from '../records/container-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { writeBackFiles } from '../volumes/file-writeback.ts';
import type { Container } from './container.ts';
import { emitEvent } from './container-event.ts';

/** Longest wait for the last lines: a process that was left behind may hold the streams open. */
const drainMs = 2000;

export function exitOf(exit: ExitInfo): ContainerExit & { startedAtNanos: bigint } {
  return {
    exitCode: exit.exitCode,
    reason: exit.reason,
    message: exit.message,
    startedAtNanos: exit.startedAtUnixNanos,
    finishedAtNanos: exit.finishedAtUnixNanos,
  };
}

/** Idempotent: the first exit that is told counts. Never rejects. */
export function finishContainer(
  context: Context,
  sandbox: Sandbox,
  container: Container,
  exit: ContainerExit & { startedAtNanos?: bigint },
): Promise<void> {
  if (container.record.state === 'exited') return Promise.resolve();
  container.finishing ??= finish(context, sandbox, container, exit).catch((error) => {
    context.log.error({ containerId: container.id, error: messageOf(error) }, "cannot record a container's end");
  });
  return container.finishing;
}

async function finish(
  context: Context,
  sandbox: Sandbox,
  container: Container,
  exit: ContainerExit & { startedAtNanos?: bigint },
): Promise<void> {
  const { startedAtNanos, ...rest } = exit;
  const { record } = container;
  try {
    await Promise.all([drain(context, container), bringBack(context, sandbox, container)]);
    await context.step('container-exit');
  } catch (error) {
    // It has ended all the same.
    context.log.error(
      { containerId: container.id, error: messageOf(error) },
      "cannot save all of a container's last output",
    );
  }
  if (startedAtNanos) record.startedAtNanos = startedAtNanos;
  record.state = 'exited';
  record.exit = rest;
  // What reads the state may be told now, even where the disk refuses the record.
  try {
    await saveContainer(context.paths, record);
  } finally {
    container.exited.resolve();
    emitEvent(context, sandbox, container, cri.ContainerEventType.CONTAINER_STOPPED_EVENT);
  }
}

async function drain(context: Context, container: Container): Promise<void> {
  if (!container.pump) return;
  await within(context.options.clock, drainMs, container.pump.done);
}

async function bringBack(context: Context, sandbox: Sandbox, container: Container): Promise<void> {
  if (sandbox.record.state !== 'ready' || !container.record.mounts.length) return;
  const agent = await sandbox.link?.connected().catch(() => undefined);
  if (agent) await writeBackFiles(context, sandbox, container, agent.agent);
}
