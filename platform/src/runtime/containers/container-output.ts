/** Starts the pump of a container's output, from its begin or from where its log ends. */
import type { Context } from '../context.ts';
import { LogPump } from '../logs/log-pump.ts';
import { findResumePoint } from '../logs/log-resume.ts';
import type { Offsets } from '../logs/log-writer.ts';
import { saveContainer } from '../records/container-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import type { Container } from './container.ts';

export function startPump(context: Context, sandbox: Sandbox, container: Container, from?: Offsets): void {
  const { clock, log } = context.options;
  container.pump = new LogPump({
    containerId: container.id,
    logPath: container.record.logPath,
    ...(from ? { from } : {}),
    agent: () => sandbox.link!.connected().then(({ agent }) => agent),
    onOpen: async (base) => {
      container.record.logBase = base;
      await saveContainer(context.paths, container.record);
    },
    clock,
    log,
  });
}

/** For a container that a server before us followed. */
export async function resumePump(context: Context, sandbox: Sandbox, container: Container): Promise<void> {
  const { logBase, logPath } = container.record;
  const found = logBase && logPath ? await findResumePoint(logPath, logBase) : undefined;
  startPump(context, sandbox, container, found ?? logBase);
}
