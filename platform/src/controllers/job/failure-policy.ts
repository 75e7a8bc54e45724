/** spec.podFailurePolicy: what a failed Pod means for its Job (KEP-3329). Pure. */
import type { JobSpec, PodFailurePolicyRule } from 'kubernetes-types/batch/v1.js';
import type { PodObject } from '../pods/pod-facts.ts';
import { isLetGo } from './job-facts.ts';

export type FailureVerdict =
  | { action: 'Count' | 'Ignore' | 'FailIndex' }
  /** `message` tells which rule, for the Job's condition. */
  | { action: 'FailJob'; message: string };

/** The first rule that matches decides; without one a failure counts. Only Pods that have ended are judged. */
export function judgeFailure(pod: PodObject, spec: JobSpec): FailureVerdict {
  if (pod.status?.phase !== 'Failed' && !isLetGo(pod)) return { action: 'Count' };
  for (const [i, rule] of (spec.podFailurePolicy?.rules ?? []).entries()) {
    const what = matchOf(rule, pod);
    if (what === undefined) continue;
    const { action } = rule;
    if (action === 'FailJob') return { action, message: `${what} matching FailJob rule at index ${i}` };
    if (action === 'Ignore' || action === 'FailIndex') return { action };
    return { action: 'Count' };
  }
  return { action: 'Count' };
}

/** What of the Pod matches, in words. */
function matchOf({ onExitCodes, onPodConditions = [] }: PodFailurePolicyRule, pod: PodObject): string | undefined {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  if (onExitCodes) {
    const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
    const { containerName, operator, values } = onExitCodes;
    for (const status of [...containerStatuses, ...initContainerStatuses]) {
      if (containerName !== undefined && status.name !== containerName) continue;
      const code = status.state?.terminated?.exitCode ?? 0;
      if (code === 0 || values.includes(code) !== (operator === 'In')) continue;
      return `Container ${status.name} for pod ${name} failed with exit code ${code}`;
    }
    return undefined;
  }
  const condition = pod.status?.conditions?.find((one) =>
    onPodConditions.some(({ type, status }) => one.type === type && one.status === (status || 'True')),
  );
  return condition && `Pod ${name} has condition ${condition.type}`;
}
