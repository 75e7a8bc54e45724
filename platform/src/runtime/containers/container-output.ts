/** The pump of a container's output: from its begin, or from where its log ends. */
import type { Context } from '../context.ts';
import { LogPump } from '../logs/log-pump.ts';
import { findResumePoint } from '../logs/log-resume.ts';
import type { Offsets } from '../logs/log-writer.ts';
import { saveContainer } from '../records/container-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import type { Container } from './container.ts';

export interface PumpStart {
  /** Absent: from the begin. */
  from?: Offsets | undefined;
  /** When the guest knows the container; the log file is opened meanwhile. */
  after: Promise<unknown>;
}

export function startPump(context: Context, sandbox: Sandbox, container: Container, start: PumpStart): LogPump {
  const { clock, log } = context.options;
  const { from, after } = start;
  const pump = new LogPump({
    containerId: container.id,
    logPath: container.record.logPath,
    ...(from ? { from } : {}),
    agent: async () => {
      await after;
      return (await sandbox.link!.connected()).agent;
    },
    onOpen: async (base) => {
      container.record.logBase = base;
      await saveContainer(context.paths, container.record);
    },
    clock,
    log,
  });
  container.pump = pump;
  return pump;
}

/** Where the log of a container that a server before us followed goes on. */
export async function resumePoint(container: Container): Promise<Offsets | undefined> {
  const { logBase, logPath } = container.record;
  const found = logBase && logPath ? await findResumePoint(logPath, logBase) : undefined;
  return found ?? logBase;
}
