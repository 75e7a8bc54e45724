/** The step that stops a running container of a Pod that goes on. */
import type { Container } from 'kubernetes-types/core/v1.js';
import {
  type ContainerRecord,
  type Decision,
  graceSecondsOf,
  isSidecar,
  type PodView,
  restartPolicyOf,
} from './model.ts';

/** Adds the stop of a running container whose probe failed or whose definition changed. */
export function kill(
  decision: Decision,
  options: {
    view: PodView;
    container: Container;
    record: ContainerRecord;
    why: 'liveness' | 'startup' | 'definition';
  },
): void {
  const { view, container, record, why } = options;
  const what = isSidecar(container) ? 'Init container' : 'Container';
  const text = why === 'definition' ? 'definition changed' : `failed ${why} probe`;
  const restart = why === 'definition' || isSidecar(container) || restartPolicyOf(view.pod) !== 'Never';
  const probe = why === 'liveness' ? container.livenessProbe : container.startupProbe;
  const graceSeconds = why === 'definition' ? undefined : probe?.terminationGracePeriodSeconds;
  decision.actions.push({
    type: 'stopContainer',
    id: record.id,
    name: container.name,
    graceMs: Math.max(2, graceSeconds ?? graceSecondsOf(view.pod)) * 1000,
    reason: 'Killing',
    message: `${what} ${container.name} ${text}${restart ? ', will be restarted' : ''}`,
  });
}
