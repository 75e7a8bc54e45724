/**
 * The next steps of a Pod, from what is: kubelet's computePodActions as a pure function. Asked again whenever something may have
 * changed, it never remembers: a step that was done shows in the records, a step under way in `busy`.
 * Does not own: how a step is done (act/), what the status says (status/).
 */
import { decideEnding } from './decide-ending.ts';
import { decideRunning } from './decide-running.ts';
import { endingOf } from './ending.ts';
import { decideGarbage } from './garbage.ts';
import { type Decision, earliest, keyOf, type PodView } from './model.ts';

export function decide(view: PodView): Decision {
  const { ending, wakeAtMs } = endingOf(view);
  const decision = ending ? decideEnding(view, ending) : decideRunning(view);
  if (!ending) decision.actions.push(...decideGarbage(view));
  decision.wakeAtMs = earliest(decision.wakeAtMs, wakeAtMs);
  decision.actions = decision.actions.filter(
    (action) => action.type === 'stopContainer' || !view.busy.has(keyOf(action)),
  );
  return decision;
}
