/** Validation of a Pod, after pkg/apis/core/validation. */
import type { Pod } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { required } from '../../field-errors.ts';
import type { Target } from '../../kind.ts';

export function validatePodCreate(pod: Pod): Cause[] {
  return (pod.spec?.containers.length ?? 0) > 0 ? [] : [required('spec.containers')];
}

export function validatePodUpdate(pod: Pod, _old: Pod, _target: Target): Cause[] {
  return validatePodCreate(pod);
}
