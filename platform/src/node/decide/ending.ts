/** Whether, why and until when a Pod is ending. */
import { type Ending, graceSecondsOf, isTerminalPhase, type PodView } from './model.ts';
import { isDone } from './work-left.ts';

const deadlineReason = 'DeadlineExceeded';
const deadlineMessage = 'Pod was active on the node longer than the specified deadline';

/** The strictest cause wins: what shortens the time containers get comes first. `wakeAtMs`: when the answer may change by itself. */
export function endingOf(view: PodView): { ending?: Ending; wakeAtMs?: number } {
  const { pod } = view;
  const deadlineAtMs = deadlineOf(view);
  const overdue = deadlineAtMs !== undefined && view.nowMs >= deadlineAtMs;
  const told = toldReason(view, overdue);
  const grace = graceSecondsOf(pod) * 1000;

  if (view.gone) return { ending: { cause: 'gone', untilMs: view.gone.atMs + view.gone.graceSeconds * 1000, ...told } };
  // The API server sets deletionTimestamp to the moment the grace period is over: a restart does not begin it anew.
  if (pod.metadata?.deletionTimestamp)
    return { ending: { cause: 'deleted', untilMs: Date.parse(pod.metadata.deletionTimestamp), ...told } };
  if (view.eviction) return { ending: { cause: 'evicted', untilMs: view.eviction.atMs + 1000, ...told } };
  const { phase } = pod.status ?? {};
  if (overdue && phase !== 'Succeeded')
    return { ending: { cause: 'deadline', untilMs: deadlineAtMs + grace, ...told } };
  if (isTerminalPhase(phase) || isDone(view))
    return { ending: { cause: 'finished', untilMs: (finishedAt(view) ?? view.nowMs) + grace, ...told } };
  return { wakeAtMs: deadlineAtMs };
}

function deadlineOf({ pod }: PodView): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds;
  const start = pod.status?.startTime;
  return seconds && start ? Date.parse(start) + seconds * 1000 : undefined;
}

function toldReason(view: PodView, overdue: boolean): { reason?: string; message?: string } {
  if (view.eviction) return { reason: view.eviction.reason, message: view.eviction.message };
  const { phase, reason, message } = view.pod.status ?? {};
  if (isTerminalPhase(phase)) return { ...(reason ? { reason } : {}), ...(message ? { message } : {}) };
  return overdue ? { reason: deadlineReason, message: deadlineMessage } : {};
}

/** When the last of the Pod's own containers ended: sidecars get the grace period from then. */
function finishedAt(view: PodView): number | undefined {
  const ends = view.containers.filter((record) => record.state === 'exited').map((record) => record.finishedAtMs);
  return ends.length > 0 ? Math.max(...ends) : undefined;
}
