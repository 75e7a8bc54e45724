/** The step that starts a container, or what stands against it. */
import { restartAfter } from './back-off.ts';
import { type ContainerKind, type ContainerRecord, type Decision, earliest, latestRun, type PodView } from './model.ts';

/** Adds a start unless back-off, an earlier failure or a start under way stands against it. */
export function start(
  view: PodView,
  decision: Decision,
  { name, kind, sandboxId }: { name: string; kind: ContainerKind; sandboxId: string },
): void {
  const failure = view.startFailures.get(name);
  if (failure && view.nowMs < failure.retryAtMs) {
    decision.wakeAtMs = earliest(decision.wakeAtMs, failure.retryAtMs);
    return;
  }
  const last = latestRun(view.containers, name);
  const created = last?.state === 'created' && last.sandboxId === sandboxId ? last : undefined;
  const restart = restartAfter(last, view.nowMs);
  if (restart.wait) {
    decision.wakeAtMs = earliest(decision.wakeAtMs, restart.untilMs);
    decision.waiting.set(name, crashLoop(view, last!, restart.delayMs));
    return;
  }
  decision.actions.push({
    type: 'startContainer',
    name,
    kind,
    sandboxId,
    attempt: created?.attempt ?? (last ? last.attempt + 1 : 0),
    ...(created ? { existingId: created.id } : {}),
    ...(restart.backOff ? { backOff: restart.backOff } : {}),
  });
}

function crashLoop({ pod }: PodView, last: ContainerRecord, delayMs: number) {
  const { name, namespace, uid } = pod.metadata ?? {};
  const minutes = Math.floor(delayMs / 60_000);
  const delay = `${minutes > 0 ? `${minutes}m` : ''}${(delayMs % 60_000) / 1000}s`;
  return {
    reason: 'CrashLoopBackOff',
    message: `back-off ${delay} restarting failed container=${last.name} pod=${name}_${namespace}(${uid})`,
  };
}
