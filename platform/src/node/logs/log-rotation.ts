/** Keeps containers' logs from filling the disk: what has grown too large is put aside, and only the latest of what was put aside stays. */
import { rename, rm, stat } from 'node:fs/promises';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { ContainerState } from '../../runtime/generated/cri.ts';
import type { NodeContext } from '../act/context.ts';
import { logFiles } from './log-files.ts';

/** kubelet's defaults (containerLogMaxSize, containerLogMaxFiles); the file being written counts as one. */
const maxBytes = 10 * 1024 * 1024;
const maxFiles = 5;
const everyMs = 10_000;

export type RotationContext = Pick<NodeContext, 'runtime' | 'clock' | 'log'>;

/** Until `signal` aborts. */
export async function keepLogsSmall(context: RotationContext, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await context.clock.sleep(everyMs, signal).catch(() => {});
    if (signal.aborted) return;
    await rotateAll(context).catch((error) => context.log.warn({ error: messageOf(error) }, 'logs not rotated'));
  }
}

export async function rotateAll(context: RotationContext, limitBytes = maxBytes): Promise<void> {
  const running = { state: ContainerState.CONTAINER_RUNNING };
  const { containers = [] } = await context.runtime.listContainers({ filter: { state: running } });
  for (const { id = '' } of containers) {
    try {
      const { status } = await context.runtime.containerStatus({ containerId: id });
      if (status?.logPath) await rotate(context, { id, path: status.logPath, limitBytes });
    } catch (error) {
      if (!isReason(error, 'NotFound')) context.log.warn({ id, error: messageOf(error) }, 'log not rotated');
    }
  }
}

async function rotate(
  { runtime, clock }: RotationContext,
  { id, path, limitBytes }: { id: string; path: string; limitBytes: number },
): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (!info || info.size < limitBytes) return;
  const aside = await nextName(path, clock.now());
  await rename(path, aside);
  try {
    await runtime.reopenContainerLog({ containerId: id });
  } catch (error) {
    // The writer still holds the old file: it keeps its name, so that nothing is lost.
    await rename(aside, path);
    throw error;
  }
  const files = await logFiles(path);
  const surplus = files.slice(0, Math.max(0, files.length - maxFiles));
  for (const file of surplus) if (file.path !== path) await rm(file.path, { force: true });
}

/** `<path>.<time>`, after all that were put aside before: by their names they are read in order. */
async function nextName(path: string, nowMs: number): Promise<string> {
  const stamp = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  const aside = (await logFiles(path)).filter((file) => file.path !== path);
  const last = aside.at(-1)?.path.slice(path.length + 1) ?? '';
  if (last < stamp) return `${path}.${stamp}`;
  const [lastStamp = stamp, count = '0'] = last.split('.');
  return `${path}.${lastStamp}.${String(Number(count) + 1).padStart(3, '0')}`;
}
