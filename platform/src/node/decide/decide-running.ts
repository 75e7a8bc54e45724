/** The steps of a Pod that is to run: a sandbox, then its containers. */
import { decideInit } from './decide-init.ts';
import { decideMains } from './decide-mains.ts';
import { type Decision, earliest, ephemeralContainers, latestRun, type PodView, sandboxKey } from './model.ts';
import { start } from './start-step.ts';

export function decideRunning(view: PodView): Decision {
  const decision: Decision = { actions: [], waiting: new Map() };
  const [sandbox, ...older] = view.sandboxes;
  for (const other of older) if (other.ready) decision.actions.push({ type: 'stopSandbox', id: other.id });
  if (!sandbox?.ready) {
    decideSandbox(view, decision);
    return decision;
  }
  for (const container of ephemeralContainers(view.pod))
    if (!hasRun(view, container.name))
      start(view, decision, { name: container.name, kind: 'ephemeral', sandboxId: sandbox.id });
  if (decideInit(view, decision, sandbox.id)) decideMains(view, decision, sandbox.id);
  return decision;
}

/** An ephemeral container is run once, whatever becomes of it. */
function hasRun(view: PodView, name: string): boolean {
  const record = latestRun(view.containers, name);
  return record !== undefined && record.state !== 'created';
}

/** There is none, or the one there was is lost: the machine died, or the host was started anew. */
function decideSandbox(view: PodView, decision: Decision): void {
  if (view.busy.has(sandboxKey)) return;
  if (view.sandboxFailure && view.nowMs < view.sandboxFailure.retryAtMs) {
    decision.wakeAtMs = earliest(decision.wakeAtMs, view.sandboxFailure.retryAtMs);
    return;
  }
  const attempts = view.sandboxes.map((sandbox) => sandbox.attempt);
  decision.actions.push({
    type: 'createSandbox',
    attempt: attempts.length > 0 ? Math.max(...attempts) + 1 : 0,
    replaces: view.sandboxes.map((sandbox) => sandbox.id),
  });
}
