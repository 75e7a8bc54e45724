/**
 * Validation of a Pod, after pkg/apis/core/validation: the same fields, the same sentences. The parts stand in validate/; what this build does not
 * do is refused by validate/unsupported.ts.
 */
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { forbidden } from '../../field-errors.ts';
import type { Target } from '../../kind.ts';
import { validateSpec } from './validate/spec.ts';
import { validateStatusUpdate } from './validate/status.ts';
import { validateEphemeralUpdate, validateSpecUpdate } from './validate/update.ts';

export function validatePodCreate(pod: Pod): Cause[] {
  const causes = validateSpec(pod);
  if (pod.spec?.ephemeralContainers?.length) {
    causes.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  const { schedulingGates = [] } = pod.spec as { schedulingGates?: unknown[] };
  if (pod.spec?.nodeName && schedulingGates.length > 0) {
    causes.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  return causes;
}

export function validatePodUpdate(pod: Pod, old: Pod, target: Target): Cause[] {
  switch (target) {
    case 'status':
      return validateStatusUpdate(pod, old);
    case 'ephemeralcontainers':
      return [...validateSpec(pod), ...validateEphemeralUpdate(pod, old)];
    default:
      return [...validateSpec(pod), ...validateSpecUpdate(pod, old)];
  }
}
