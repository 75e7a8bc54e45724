/**
 * Pod templates: what workloads make their Pods of. The same defaults and the same validation as a Pod's, with paths below the
 * template's field (pkg/apis/core/validation ValidatePodTemplateSpec).
 */
import type { Pod, PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { forbidden } from '../../field-errors.ts';
import { validateAnnotations, validateLabels } from '../metadata.ts';
import { applyPodSpecDefaults } from './defaults.ts';
import { validateTemplateSpec } from './validate/spec.ts';

/** In place; idempotent. */
export function applyPodTemplateDefaults(template: PodTemplateSpec): void {
  applyPodSpecDefaults(template);
}

/** `field` is where the template stands, such as `spec.template`. */
export function validatePodTemplate(template: PodTemplateSpec, field: string): Cause[] {
  const { labels, annotations } = template.metadata ?? {};
  const pod: Pod = { metadata: template.metadata ?? {}, spec: template.spec ?? { containers: [] } };
  const causes = [
    ...validateLabels(labels, `${field}.labels`),
    ...validateAnnotations(annotations, `${field}.annotations`),
    ...validateTemplateSpec(pod).map((cause) => ({ ...cause, field: `${field}.${cause.field}` })),
  ];
  if (pod.spec?.ephemeralContainers?.length) {
    causes.push(forbidden(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return causes;
}
