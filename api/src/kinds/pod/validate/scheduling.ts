/** Where a Pod may run: tolerations, node and Pod affinity, spread constraints, gates. */
import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodSpec,
  Toleration,
  TopologySpreadConstraint,
} from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { duplicate, forbidden, invalid, invalidFor, notSupported, required, tooLong } from '../../../field-errors.ts';
import { dnsSubdomainProblems, labelValueProblems, qualifiedNameProblems } from '../../../names.ts';
import { validateLabelSelector } from '../../label-selector-validation.ts';
import { utf8Length, validateLabels } from '../../metadata.ts';
import { checkWeight, validatePodAffinity } from './pod-affinity.ts';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const actions = ['DoNotSchedule', 'ScheduleAnyway'];

/** The scheduler holds all of it against every Pod there is, again with every change: some hundred terms. */
const mostPlacementBytes = 16 * 1024;

type Gated = PodSpec & { schedulingGates?: { name: string }[] };

export function validateScheduling(spec: Gated): Cause[] {
  return [
    ...validateLabels(spec.nodeSelector, 'spec.nodeSelector'),
    ...validateTolerations(spec.tolerations),
    ...boundPlacement(spec),
    ...validateAffinity(spec.affinity),
    ...validateSpread(spec.topologySpreadConstraints),
    ...validateGates(spec.schedulingGates),
    ...(spec.readinessGates ?? []).flatMap(({ conditionType: type }, i) =>
      invalidFor(`spec.readinessGates[${i}].conditionType`, type, qualifiedNameProblems(type)),
    ),
  ];
}

function boundPlacement({ affinity, topologySpreadConstraints }: Gated): Cause[] {
  return Object.entries({ affinity, topologySpreadConstraints })
    .filter(([, value]) => value && utf8Length(JSON.stringify(value)) > mostPlacementBytes)
    .map(([name]) => tooLong(`spec.${name}`, mostPlacementBytes));
}

export function validateTolerations(tolerations: Toleration[] = [], field = 'spec.tolerations'): Cause[] {
  return tolerations.flatMap((toleration, i) => validateToleration(toleration, `${field}[${i}]`));
}

function validateToleration(
  { key, operator = '', value = '', effect, tolerationSeconds }: Toleration,
  field: string,
): Cause[] {
  const causes = key ? invalidFor(`${field}.key`, key, qualifiedNameProblems(key)) : [];
  if (!key && operator !== 'Exists') {
    const detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    causes.push(invalid(`${field}.operator`, operator, detail));
  }
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    causes.push(invalid(`${field}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  }
  if (operator === 'Exists') {
    if (value) causes.push(invalid(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'"));
  } else if (operator === 'Equal' || operator === '') {
    const problems = labelValueProblems(value);
    if (problems.length > 0) causes.push(invalid(`${field}.operator`, value, problems.join(';')));
  } else causes.push(notSupported(`${field}.operator`, operator, ['Equal', 'Exists']));
  if (effect && !effects.includes(effect)) causes.push(notSupported(`${field}.effect`, effect, effects));
  return causes;
}

function validateAffinity(affinity: Affinity = {}): Cause[] {
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity;
  const hard = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const soft = nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const path = 'spec.affinity.nodeAffinity';
  return [
    ...(hard ? validateNodeSelector(hard, `${path}.requiredDuringSchedulingIgnoredDuringExecution`) : []),
    ...soft.flatMap(({ weight, preference }, i) => {
      const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      return [...checkWeight(weight, `${at}.weight`), ...validateTerm(preference, `${at}.preference`)];
    }),
    ...validatePodAffinity(podAffinity, 'spec.affinity.podAffinity'),
    ...validatePodAffinity(podAntiAffinity, 'spec.affinity.podAntiAffinity'),
  ];
}

function validateNodeSelector({ nodeSelectorTerms: terms = [] }: NodeSelector, field: string): Cause[] {
  const at = `${field}.nodeSelectorTerms`;
  if (terms.length === 0) return [required(at, 'must have at least one node selector term')];
  return terms.flatMap((term, i) => validateTerm(term, `${at}[${i}]`));
}

function validateTerm(term: NodeSelectorTerm, field: string): Cause[] {
  return [
    ...(term.matchExpressions ?? []).flatMap((one, i) => validateExpression(one, `${field}.matchExpressions[${i}]`)),
    ...(term.matchFields ?? []).flatMap((one, i) => validateMatchField(one, `${field}.matchFields[${i}]`)),
  ];
}

function validateExpression({ key, operator, values = [] }: NodeSelectorRequirement, field: string): Cause[] {
  const causes: Cause[] = [];
  const at = `${field}.values`;
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) causes.push(required(at, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) {
      causes.push(forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    }
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1)
      causes.push(required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else causes.push(invalid(`${field}.operator`, operator ?? '', 'not a valid selector operator'));
  causes.push(...invalidFor(`${field}.key`, key, qualifiedNameProblems(key ?? '')));
  return [...causes, ...values.flatMap((value, i) => invalidFor(`${at}[${i}]`, value, labelValueProblems(value)))];
}

function validateMatchField({ key, operator, values = [] }: NodeSelectorRequirement, field: string): Cause[] {
  const causes: Cause[] = [];
  if (operator !== 'In' && operator !== 'NotIn') {
    causes.push(invalid(`${field}.operator`, operator ?? '', 'not a valid selector operator'));
  } else if (values.length !== 1) {
    const detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    causes.push(required(`${field}.values`, detail));
  }
  if (key !== 'metadata.name') return [...causes, invalid(`${field}.key`, key ?? '', 'not a valid field selector key')];
  return [
    ...causes,
    ...values.flatMap((value, i) => invalidFor(`${field}.values[${i}]`, value, dnsSubdomainProblems(value))),
  ];
}

function validateSpread(constraints: TopologySpreadConstraint[] = []): Cause[] {
  const seen = new Set<string>();
  return constraints.flatMap((constraint, i) => {
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains } = constraint;
    const at = `spec.topologySpreadConstraints[${i}]`;
    const causes: Cause[] = [];
    if (!(maxSkew > 0)) causes.push(invalid(`${at}.maxSkew`, maxSkew ?? 0, 'must be greater than zero'));
    if (!topologyKey) causes.push(required(`${at}.topologyKey`, 'can not be empty'));
    if (!actions.includes(whenUnsatisfiable)) {
      causes.push(notSupported(`${at}.whenUnsatisfiable`, whenUnsatisfiable ?? '', actions));
    }
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (seen.has(pair)) causes.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    if (minDomains !== undefined && minDomains <= 0) {
      causes.push(invalid(`${at}.minDomains`, minDomains, 'must be greater than zero'));
    } else if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule') {
      const why = 'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway';
      causes.push(invalid(`${at}.minDomains`, minDomains, why));
    }
    return [...causes, ...validateCounting(constraint, at)];
  });
}

/** Which nodes and Pods a spread counts. */
function validateCounting(constraint: TopologySpreadConstraint, at: string): Cause[] {
  const { labelSelector, matchLabelKeys = [] } = constraint;
  const causes: Cause[] = [];
  for (const policy of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const) {
    const value = constraint[policy];
    if (value && !['Honor', 'Ignore'].includes(value))
      causes.push(notSupported(`${at}.${policy}`, value, ['Honor', 'Ignore']));
  }
  if (matchLabelKeys.length > 0 && !labelSelector)
    causes.push(forbidden(`${at}.matchLabelKeys`, 'must not be specified when labelSelector is not set'));
  return [...causes, ...validateLabelSelector(labelSelector, `${at}.labelSelector`)];
}

function validateGates(gates: { name: string }[] = []): Cause[] {
  const seen = new Set<string>();
  return gates.flatMap(({ name }, i) => {
    const at = `spec.schedulingGates[${i}]`;
    const causes = invalidFor(at, name, qualifiedNameProblems(name ?? ''));
    if (seen.has(name)) causes.push(duplicate(at, name));
    seen.add(name);
    return causes;
  });
}
