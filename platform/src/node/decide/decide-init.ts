/**
 * Init containers one after the other; sidecars (restartPolicy Always) started in their place and kept running. Read backwards, as
 * kubelet does: the last init container that has run tells how far the Pod came.
 */
import type { Container } from 'kubernetes-types/core/v1.js';
import { kill } from './kill-step.ts';
import {
  type ContainerRecord,
  type Decision,
  initContainers,
  isSidecar,
  latestRun,
  type PodView,
  specOf,
  startKey,
} from './model.ts';
import { start } from './start-step.ts';
import { succeeded } from './work-left.ts';

/** True when the Pod is initialised in this sandbox: its main containers may run. */
export function decideInit(view: PodView, decision: Decision, sandboxId: string): boolean {
  const containers = initContainers(view.pod);
  if (containers.length === 0) return true;
  let initialized = specOf(view.pod).containers.some(
    (container) => latestRun(view.containers, container.name, sandboxId) !== undefined,
  );
  let passed = initialized;
  const toStart: number[] = [];
  for (let index = containers.length - 1; index >= 0; index--) {
    const container = containers[index]!;
    const record = latestRun(view.containers, container.name, sandboxId);
    if (!record) {
      if (passed && isSidecar(container)) toStart.push(index);
      continue;
    }
    if (passed && !isSidecar(container)) continue;
    const step = judge(view, decision, container, record);
    if (step === 'again') toStart.push(index);
    if (step === 'passed' && !passed) {
      if (index === containers.length - 1) initialized = true;
      else toStart.push(index + 1);
    }
    passed = true;
  }
  if (!passed) toStart.push(0);
  for (const index of toStart.reverse())
    start(view, decision, { name: containers[index]!.name, kind: 'init', sandboxId });
  return initialized;
}

/** What a run says: the container is to be run (again), it let the next one go, or it is to be waited for. */
function judge(
  view: PodView,
  decision: Decision,
  container: Container,
  record: ContainerRecord,
): 'again' | 'passed' | 'wait' {
  // Until its start is through (postStart included) a container has not let the next one go.
  if (view.busy.has(startKey(container.name))) return 'wait';
  if (record.state === 'exited') return !isSidecar(container) && succeeded(record) ? 'passed' : 'again';
  if (record.state !== 'running') return 'again';
  if (!isSidecar(container)) return 'wait';
  const probes = view.probes.get(record.id);
  if (container.startupProbe && probes?.startup !== 'success') {
    if (probes?.startup === 'failure') kill(decision, { container, record, view, why: 'startup' });
    return 'wait';
  }
  if (container.livenessProbe && probes?.liveness === 'failure')
    kill(decision, { container, record, view, why: 'liveness' });
  return 'passed';
}
