/** Which finished runs and lost sandboxes nobody needs any more. The latest two runs of a container stay: logs, and logs --previous. */
import { type Action, type PodView, runsOf } from './model.ts';

const runsKept = 2;

export function decideGarbage(view: PodView): Action[] {
  const actions: Action[] = [];
  const kept = new Set<string>();
  for (const name of new Set(view.containers.map((record) => record.name))) {
    for (const [index, record] of runsOf(view.containers, name).entries()) {
      if (index >= runsKept && record.state === 'exited' && record.id !== '')
        actions.push({ type: 'removeContainer', id: record.id, name });
      else kept.add(record.sandboxId);
    }
  }
  for (const sandbox of view.sandboxes.slice(1))
    if (!sandbox.ready && !kept.has(sandbox.id)) actions.push({ type: 'removeSandbox', id: sandbox.id });
  return actions;
}
