/** A container's usage as containerd's clients read it: metrics of cgroup v2. Pure. */
import type { BundleUsage } from '../../runtime/bundles/bundle-runtime.ts';
import { cgroupMetrics, cgroupMetricsType } from './task-messages.ts';

export function usageAny(usage: BundleUsage): { typeUrl: string; value: Buffer } {
  const value = cgroupMetrics.encode({
    pids: { current: BigInt(usage.pids) },
    cpu: { usageUsec: usage.cpuNanos / 1000n },
    memory: {
      anon: BigInt(usage.memoryRssBytes),
      inactiveFile: BigInt(Math.max(0, usage.memoryUsageBytes - usage.memoryWorkingSetBytes)),
      pgfault: BigInt(usage.pageFaults),
      pgmajfault: BigInt(usage.majorPageFaults),
      usage: BigInt(usage.memoryUsageBytes),
      usageLimit: BigInt(usage.memoryLimitBytes),
    },
    // Without one nerdctl's stats end in a trace.
    io: {},
  });
  return { typeUrl: cgroupMetricsType, value };
}
