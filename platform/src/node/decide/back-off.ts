/** Restart back-off: 10 s doubling to 5 min, forgotten when a container ran for 10 min since it was last raised. */
import type { BackOff, ContainerRecord } from './model.ts';

export const firstDelayMs = 10_000;
export const lastDelayMs = 300_000;
const forgetAfterMs = 2 * lastDelayMs;

/**
 * Whether a container that has run (`last`) may run again now. The first restart is at once, as kubelet's; from then on the delay counts
 * from the end of the last run.
 */
export function restartAfter(
  last: ContainerRecord | undefined,
  nowMs: number,
): { wait: true; untilMs: number; delayMs: number } | { wait: false; backOff?: BackOff } {
  if (last?.state !== 'exited') return { wait: false };
  const before = last.backOff;
  const stale = !before || last.finishedAtMs - before.updatedAtMs > forgetAfterMs;
  if (stale) return { wait: false, backOff: { delayMs: firstDelayMs, updatedAtMs: nowMs } };
  const untilMs = last.finishedAtMs + before.delayMs;
  if (nowMs < untilMs) return { wait: true, untilMs, delayMs: before.delayMs };
  return { wait: false, backOff: { delayMs: Math.min(before.delayMs * 2, lastDelayMs), updatedAtMs: nowMs } };
}
