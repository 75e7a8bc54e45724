/** The steps of a Pod on its way out: main containers, then sidecars backwards, then the machine, then what is left on disk and in the API. */
import {
  type Action,
  type ContainerRecord,
  type Decision,
  type Ending,
  initContainers,
  isSidecar,
  type PodView,
  sandboxKey,
} from './model.ts';

/** Containers always get this long between SIGTERM and SIGKILL, as kubelet gives. */
const minimumGraceMs = 2000;
/** A machine that has not stopped its containers by so much after their time is stopped as a whole. */
const patienceMs = 10_000;

export function decideEnding(view: PodView, ending: Ending): Decision {
  const decision: Decision = { actions: [], waiting: new Map(), ending };
  const running = view.containers.filter((record) => record.state === 'running' && record.id !== '');
  const starting = [...view.busy].some((key) => key.startsWith('start:') || key === sandboxKey);
  const impatient = view.nowMs > ending.untilMs + patienceMs;
  if (running.length > 0 && !impatient) {
    const graceMs = Math.max(minimumGraceMs, ending.untilMs - view.nowMs);
    const order = view.nowMs >= ending.untilMs ? running : nextToStop(view, running);
    decision.actions = order.map((record) => stop(record, graceMs));
    decision.wakeAtMs = view.nowMs < ending.untilMs ? ending.untilMs : ending.untilMs + patienceMs + 1;
    return decision;
  }
  // A start that is given up ends by itself, and what it started is stopped as all else.
  if (starting && !impatient) {
    decision.wakeAtMs = ending.untilMs + patienceMs + 1;
    return decision;
  }
  const ready = view.sandboxes.filter((sandbox) => sandbox.ready);
  if (ready.length > 0) decision.actions = ready.map((sandbox): Action => ({ type: 'stopSandbox', id: sandbox.id }));
  else if (!starting) decision.actions = lastSteps(view, ending);
  return decision;
}

function lastSteps(view: PodView, ending: Ending): Action[] {
  if (ending.cause === 'gone') return [{ type: 'finish' }];
  if (ending.cause === 'deleted') return view.finalStatusWritten ? [{ type: 'finish' }] : [];
  return view.cleanedUp ? [] : [{ type: 'cleanUp' }];
}

/** Everything that is no sidecar; when that has ended, the last sidecar that runs. */
function nextToStop(view: PodView, running: ContainerRecord[]): ContainerRecord[] {
  const sidecars = initContainers(view.pod)
    .filter(isSidecar)
    .map((container) => container.name);
  const others = running.filter((record) => !sidecars.includes(record.name));
  if (others.length > 0) return others;
  const last = sidecars.findLast((name) => running.some((record) => record.name === name));
  return running.filter((record) => record.name === last);
}

const stop = (record: ContainerRecord, graceMs: number): Action => ({
  type: 'stopContainer',
  id: record.id,
  name: record.name,
  graceMs,
  reason: 'Killing',
  message: `Stopping container ${record.name}`,
});
