/** `events`: a container's usage at an interval, its OOM kills, until it ends or the reader goes; with --stats its usage once. runc's format. */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { BundleUsage } from '../runtime/bundles/bundle-runtime.ts';
import type { LineConnection } from './line-connection.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';
import { statusOf } from './state.ts';

export async function events(context: OciContext, connection: LineConnection, params: unknown): Promise<void> {
  const { root, id, stats, intervalMs } = parse(requests.events, params);
  const record = context.records.find(root, id);
  const status = statusOf(context, record);
  if (status === 'stopped') throw new SampanError('FailedPrecondition', `container ${id} not running`);
  const tell = (event: object) => connection.send({ line: JSON.stringify(event) });
  const usage = async () => tell({ type: 'stats', id, data: statsOf(await context.bundles.stats(record.key)) });
  if (stats) {
    await usage();
    return connection.send({ result: {} });
  }
  const ended = new AbortController();
  void connection.closed.then(() => ended.abort());
  context.closing.signal.addEventListener('abort', () => ended.abort(), { once: true });
  const watching = watch(context, record.key, id, tell, ended);
  try {
    while (!ended.signal.aborted) {
      await usage();
      await context.clock.sleep(intervalMs, ended.signal);
    }
  } catch (error) {
    if (!ended.signal.aborted && !isReason(error, 'NotFound', 'FailedPrecondition')) throw error;
  } finally {
    ended.abort();
    await watching;
  }
  await connection.send({ result: {} });
}

async function watch(
  context: OciContext,
  key: string,
  id: string,
  tell: (event: object) => Promise<void>,
  ended: AbortController,
): Promise<void> {
  try {
    for await (const event of context.bundles.events(ended.signal)) {
      if (!('containerId' in event) || event.containerId !== key) continue;
      if (event.type === 'oom') await tell({ type: 'oom', id });
      if (event.type === 'exited' || event.type === 'deleted') break;
    }
  } catch {
    // The reader is gone, or too slow.
  } finally {
    ended.abort();
  }
}

/** Counters as runc's events have them, as far as a guest tells them. */
function statsOf(usage: BundleUsage): object {
  return {
    cpu: { usage: { total: Number(usage.cpuNanos) } },
    memory: {
      usage: { usage: usage.memoryUsageBytes, limit: usage.memoryLimitBytes },
      raw: { rss: usage.memoryRssBytes, pgfault: usage.pageFaults, pgmajfault: usage.majorPageFaults },
    },
    pids: { current: usage.pids },
  };
}
