/** Validation of podFailurePolicy (KEP-3329) and successPolicy (KEP-3998). */
import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from 'kubernetes-types/batch/v1.js';
import type { Cause } from '../../errors.ts';
import { duplicate, invalid, notSupported, required, tooLong, tooMany } from '../../field-errors.ts';
import { qualifiedNameProblems } from '../../names.ts';
import { parseIndexList } from './index-list.ts';

const maxRules = 20;
const maxExitCodes = 255;
const maxConditions = 20;
const maxIndexesLength = 64 * 1024;
const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const operators = ['In', 'NotIn'];
const statuses = ['False', 'True', 'Unknown'];

export function validateFailurePolicy(spec: JobSpec, field: string): Cause[] {
  const policy = spec.podFailurePolicy;
  if (!policy) return [];
  const causes: Cause[] = [];
  const restartPolicy = spec.template.spec?.restartPolicy;
  if (restartPolicy !== 'Never') {
    const at = field.replace(/podFailurePolicy$/, 'template.spec.restartPolicy');
    causes.push(invalid(at, restartPolicy, 'only "Never" is supported when podFailurePolicy is specified'));
  }
  const rules = policy.rules ?? [];
  if (rules.length > maxRules) causes.push(tooMany(`${field}.rules`, rules.length, maxRules));
  return [...causes, ...rules.flatMap((rule, i) => validateRule(rule, spec, `${field}.rules[${i}]`))];
}

function validateRule(rule: PodFailurePolicyRule, spec: JobSpec, field: string): Cause[] {
  const causes: Cause[] = [];
  const { action, onExitCodes, onPodConditions = [] } = rule;
  if (!action) causes.push(required(`${field}.action`, 'valid values: "Count", "FailIndex", "FailJob", "Ignore"'));
  else if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    causes.push(invalid(`${field}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  } else if (!actions.includes(action)) causes.push(notSupported(`${field}.action`, action, actions));
  if (onExitCodes) causes.push(...validateExitCodes(onExitCodes, spec, `${field}.onExitCodes`));
  if (onPodConditions.length > maxConditions) {
    causes.push(tooMany(`${field}.onPodConditions`, onPodConditions.length, maxConditions));
  }
  for (const [i, { type, status }] of onPodConditions.entries()) {
    const at = `${field}.onPodConditions[${i}]`;
    causes.push(...qualifiedNameProblems(type ?? '').map((problem) => invalid(`${at}.type`, type ?? '', problem)));
    if (!status) causes.push(required(`${at}.status`, 'valid values: "False", "True", "Unknown"'));
    else if (!statuses.includes(status)) causes.push(notSupported(`${at}.status`, status, statuses));
  }
  if (onExitCodes && onPodConditions.length > 0) {
    causes.push(invalid(field, field, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  }
  if (!onExitCodes && onPodConditions.length === 0) {
    causes.push(invalid(field, field, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
  return causes;
}

type ExitCodes = NonNullable<PodFailurePolicyRule['onExitCodes']>;

function validateExitCodes({ containerName, operator, values = [] }: ExitCodes, spec: JobSpec, field: string): Cause[] {
  const causes: Cause[] = [];
  if (!operator) causes.push(required(`${field}.operator`, 'valid values: "In", "NotIn"'));
  else if (!operators.includes(operator)) causes.push(notSupported(`${field}.operator`, operator, operators));
  const { containers = [], initContainers = [] } = spec.template.spec ?? {};
  const names = [...containers, ...initContainers].map(({ name }) => name);
  if (containerName !== undefined && !names.includes(containerName)) {
    causes.push(
      invalid(
        `${field}.containerName`,
        containerName,
        'must be one of the container or initContainer names in the pod template',
      ),
    );
  }
  if (values.length === 0) causes.push(invalid(`${field}.values`, values, 'at least one value is required'));
  if (values.length > maxExitCodes) causes.push(tooMany(`${field}.values`, values.length, maxExitCodes));
  for (const [i, value] of values.entries()) {
    if (operator === 'In' && value === 0) {
      causes.push(invalid(`${field}.values[${i}]`, value, 'must not be 0 for the In operator'));
    }
    const before = values[i - 1];
    if (i === 0 || before === undefined) continue;
    if (before === value) causes.push(duplicate(`${field}.values[${i}]`, value));
    else if (before > value) causes.push(invalid(`${field}.values`, values, 'must be ordered'));
  }
  return causes;
}

export function validateSuccessPolicy(spec: JobSpec, field: string): Cause[] {
  const policy = spec.successPolicy;
  if (!policy) return [];
  const causes: Cause[] = [];
  if (spec.completionMode !== 'Indexed') {
    causes.push(invalid(field, policy, 'requires indexed completion mode'));
    return causes;
  }
  const rules = policy.rules ?? [];
  if (rules.length === 0) causes.push(required(`${field}.rules`, 'at least one rules must be specified'));
  if (rules.length > maxRules) causes.push(tooMany(`${field}.rules`, rules.length, maxRules));
  return [...causes, ...rules.flatMap((rule, i) => validateSuccessRule(rule, spec, `${field}.rules[${i}]`))];
}

function validateSuccessRule(rule: SuccessPolicyRule, { completions = 0 }: JobSpec, field: string): Cause[] {
  const { succeededCount: count, succeededIndexes: indexes } = rule;
  if (count === undefined && indexes === undefined) {
    return [required(field, 'at least one of succeededCount or succeededIndexes must be specified')];
  }
  const causes: Cause[] = [];
  let room = completions;
  if (indexes !== undefined && indexes.length > maxIndexesLength) {
    causes.push(tooLong(`${field}.succeededIndexes`, maxIndexesLength));
  } else if (indexes !== undefined) {
    try {
      room = parseIndexList(indexes, completions).reduce((sum, { first, last }) => sum + last - first + 1, 0);
    } catch (error) {
      causes.push(
        invalid(`${field}.succeededIndexes`, indexes, `error parsing succeededIndexes: ${(error as Error).message}`),
      );
    }
  }
  if (count === undefined) return causes;
  if (count < 0) causes.push(invalid(`${field}.succeededCount`, count, 'must be greater than or equal to 0'));
  if (count > room) {
    const of = indexes === undefined ? `completions` : `the number of indexes in the specified succeededIndexes field`;
    causes.push(invalid(`${field}.succeededCount`, count, `must be less than or equal to ${room} (${of})`));
  }
  return causes;
}
