/** Main containers: all that may run are started side by side; one that fails its probes or whose definition changed is stopped. */
import type { Container } from 'kubernetes-types/core/v1.js';
import { kill } from './kill-step.ts';
import { type ContainerRecord, type Decision, latestRun, type PodView, specOf } from './model.ts';
import { specHash } from './spec-hash.ts';
import { start } from './start-step.ts';
import { mayRun } from './work-left.ts';

export function decideMains(view: PodView, decision: Decision, sandboxId: string): void {
  for (const container of specOf(view.pod).containers) {
    const record = latestRun(view.containers, container.name, sandboxId);
    if (record?.state === 'running') keepOrKill(view, decision, container, record);
    else if (mayRun(view, latestRun(view.containers, container.name)))
      start(view, decision, { name: container.name, kind: 'main', sandboxId });
  }
}

function keepOrKill(view: PodView, decision: Decision, container: Container, record: ContainerRecord): void {
  const probes = view.probes.get(record.id);
  if (record.specHash !== '' && record.specHash !== specHash(container))
    kill(decision, { view, container, record, why: 'definition' });
  else if (probes?.liveness === 'failure') kill(decision, { view, container, record, why: 'liveness' });
  else if (probes?.startup === 'failure') kill(decision, { view, container, record, why: 'startup' });
}
