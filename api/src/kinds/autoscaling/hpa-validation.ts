/** Validation of a HorizontalPodAutoscaler (pkg/apis/autoscaling/validation). */
import type {
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricSpec,
  MetricTarget,
} from 'kubernetes-types/autoscaling/v2.js';
import type { KubeObject } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { forbidden, invalid, notSupported, required } from '../../field-errors.ts';
import { tryParseQuantity } from '../../quantity.ts';

const sources = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;
const sourceTypes = Object.keys(sources);
const targetTypes = ['AverageValue', 'Utilization', 'Value'];
const policyTypes = ['Percent', 'Pods'];
const selectPolicies = ['Disabled', 'Max', 'Min'];
const maxPeriodSeconds = 1800;
const maxStabilizationSeconds = 3600;

export function validateAutoscaler({ spec }: HorizontalPodAutoscaler & KubeObject): Cause[] {
  const { minReplicas, maxReplicas, scaleTargetRef, metrics = [], behavior } = spec!;
  const causes: Cause[] = [];
  if (minReplicas !== undefined && minReplicas < 1) {
    causes.push(invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  }
  if (maxReplicas < 1) causes.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    causes.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  }
  causes.push(...validateReference(scaleTargetRef, 'spec.scaleTargetRef'));
  causes.push(...metrics.flatMap((metric, i) => validateMetric(metric, `spec.metrics[${i}]`)));
  for (const direction of ['scaleUp', 'scaleDown'] as const) {
    causes.push(...validateRules(behavior?.[direction], `spec.behavior.${direction}`));
  }
  return causes;
}

function validateReference(reference: { kind?: string; name?: string }, field: string): Cause[] {
  return (['kind', 'name'] as const).flatMap((part) => {
    const value = reference[part];
    if (!value) return [required(`${field}.${part}`)];
    return /[/%]/.test(value) || value === '.' || value === '..'
      ? [invalid(`${field}.${part}`, value, "may not be '.' or '..' and may not contain '/' or '%'")]
      : [];
  });
}

function validateMetric(metric: MetricSpec, field: string): Cause[] {
  const { type } = metric;
  if (!type) return [required(`${field}.type`, 'must specify a metric source type')];
  const wanted = sources[type as keyof typeof sources];
  if (!wanted) return [notSupported(`${field}.type`, type, sourceTypes)];
  const causes: Cause[] = [];
  for (const source of Object.values(sources)) {
    if (source === wanted && !metric[source]) {
      causes.push(required(`${field}.${source}`, 'must populate information for the given metric source'));
    }
    if (source !== wanted && metric[source]) {
      causes.push(forbidden(`${field}.${source}`, 'must populate the given metric source only'));
    }
  }
  const source = metric[wanted];
  if (!source) return causes;
  const at = `${field}.${wanted}`;
  if ('name' in source || wanted === 'resource' || wanted === 'containerResource') {
    const { name, container } = source as { name?: string; container?: string };
    if (!name) causes.push(required(`${at}.name`, 'must specify a resource name'));
    if (wanted === 'containerResource' && !container) {
      causes.push(required(`${at}.container`, 'must specify a container name'));
    }
  } else if (!source.metric?.name) causes.push(required(`${at}.metric.name`, 'must specify a metric name'));
  if (wanted === 'object')
    causes.push(...validateReference(metric.object!.describedObject ?? {}, `${at}.describedObject`));
  return [...causes, ...validateTarget(source.target, wanted, `${at}.target`)];
}

function validateTarget(target: MetricTarget | undefined, source: string, field: string): Cause[] {
  const { type, averageUtilization: utilization, averageValue, value } = target ?? {};
  const causes: Cause[] = [];
  if (!type) causes.push(required(`${field}.type`, 'must specify a metric target type'));
  else if (!targetTypes.includes(type)) causes.push(notSupported(`${field}.type`, type, targetTypes));
  for (const [name, amount] of [
    ['averageValue', averageValue],
    ['value', value],
  ] as const) {
    const quantity = amount === undefined ? undefined : tryParseQuantity(amount);
    if (quantity && quantity.nanos <= 0n) causes.push(invalid(`${field}.${name}`, amount, 'must be positive'));
  }
  if (utilization !== undefined && utilization < 1) {
    causes.push(invalid(`${field}.averageUtilization`, utilization, 'must be greater than 0'));
  }
  const ofResource = source === 'resource' || source === 'containerResource';
  if (ofResource && utilization === undefined && averageValue === undefined) {
    causes.push(required(`${field}.averageUtilization`, 'must set either a target raw value or a target utilization'));
  }
  if (ofResource && utilization !== undefined && averageValue !== undefined) {
    causes.push(forbidden(`${field}.averageValue`, 'may not set both a target raw value and a target utilization'));
  }
  if (source === 'pods' && averageValue === undefined) {
    causes.push(required(`${field}.averageValue`, 'must specify a positive target averageValue'));
  }
  if ((source === 'object' || source === 'external') && value === undefined && averageValue === undefined) {
    causes.push(required(`${field}.averageValue`, 'must set either a target value for metric or a per-pod target'));
  }
  return causes;
}

function validateRules(rules: HPAScalingRules | undefined, field: string): Cause[] {
  if (!rules) return [];
  const { stabilizationWindowSeconds: window, selectPolicy, policies = [] } = rules;
  const causes: Cause[] = [];
  if (window !== undefined && window < 0) {
    causes.push(invalid(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'));
  }
  if (window !== undefined && window > maxStabilizationSeconds) {
    const detail = `must be less than or equal to ${maxStabilizationSeconds}`;
    causes.push(invalid(`${field}.stabilizationWindowSeconds`, window, detail));
  }
  if (selectPolicy !== undefined && !selectPolicies.includes(selectPolicy)) {
    causes.push(notSupported(`${field}.selectPolicy`, selectPolicy, selectPolicies));
  }
  if (policies.length === 0) causes.push(required(`${field}.policies`, 'must specify at least one Policy'));
  for (const [i, { type, value, periodSeconds }] of policies.entries()) {
    const at = `${field}.policies[${i}]`;
    if (!policyTypes.includes(type)) causes.push(notSupported(`${at}.type`, type ?? '', policyTypes));
    if (!(value > 0)) causes.push(invalid(`${at}.value`, value ?? 0, 'must be greater than zero'));
    if (!(periodSeconds > 0))
      causes.push(invalid(`${at}.periodSeconds`, periodSeconds ?? 0, 'must be greater than zero'));
    if (periodSeconds > maxPeriodSeconds) {
      causes.push(invalid(`${at}.periodSeconds`, periodSeconds, `must be less than or equal to ${maxPeriodSeconds}`));
    }
  }
  return causes;
}
