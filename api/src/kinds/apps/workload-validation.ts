/** What Deployment, ReplicaSet and StatefulSet hold in common: a selector that means their own Pods, and a template for Pods that go on for ever. */

import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import type { LabelSelector } from 'kubernetes-types/meta/v1.js';
import type { Cause } from '../../errors.ts';
import { forbidden, invalid, notSupported, required } from '../../field-errors.ts';
import { fromLabelSelectorObject, type LabelSelectorObject, matchesLabels } from '../../selectors/label-selector.ts';
import { isEmptySelector, validateLabelSelector } from '../label-selector-validation.ts';
import { validatePodTemplate } from '../pod/template.ts';

export const nonNegativeMessage = 'must be greater than or equal to 0';

/** Absent numbers are not looked at. */
export function nonNegative(fields: Record<string, number | undefined>): Cause[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value < 0)
    .map(([field, value]) => invalid(field, value, nonNegativeMessage));
}

interface Workload {
  /** In lower case, for messages. */
  kind: string;
  selector: LabelSelector | undefined;
  template: PodTemplateSpec | undefined;
}

/** spec.selector and spec.template. */
export function validateSelectorAndTemplate({ kind, selector, template }: Workload): Cause[] {
  if (!selector) return [required('spec.selector')];
  const causes = validateLabelSelector(selector as LabelSelectorObject, 'spec.selector');
  if (isEmptySelector(selector as LabelSelectorObject)) {
    causes.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
  }
  if (!template) return [...causes, required('spec.template')];
  if (causes.length === 0) {
    const labels = template.metadata?.labels ?? {};
    if (!matchesLabels(fromLabelSelectorObject(selector as LabelSelectorObject), labels)) {
      causes.push(invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
    }
  }
  return [...causes, ...validateLastingTemplate(template)];
}

function validateLastingTemplate(template: PodTemplateSpec): Cause[] {
  const causes = validatePodTemplate(template, 'spec.template');
  const { restartPolicy, activeDeadlineSeconds } = template.spec ?? {};
  if (restartPolicy !== 'Always') {
    causes.push(notSupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']));
  }
  if (activeDeadlineSeconds !== undefined) {
    const detail = 'activeDeadlineSeconds in ReplicaSet is not Supported';
    causes.push(forbidden('spec.template.spec.activeDeadlineSeconds', detail));
  }
  return causes;
}

/** Counts in a status that are parts of status.replicas. */
export function validateCounts(status: object | undefined, parts: string[]): Cause[] {
  const counts = (status ?? {}) as Record<string, number | undefined>;
  const total = counts.replicas ?? 0;
  const causes = nonNegative(
    Object.fromEntries(
      ['replicas', ...parts, 'observedGeneration', 'collisionCount'].map((one) => [`status.${one}`, counts[one]]),
    ),
  );
  for (const part of parts) {
    const count = counts[part] ?? 0;
    if (count > total) causes.push(invalid(`status.${part}`, count, 'cannot be greater than status.replicas'));
  }
  return causes;
}
