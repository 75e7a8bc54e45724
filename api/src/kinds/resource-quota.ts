/** ResourceQuota: how much of what a namespace may hold. What is used stands in status: written with each object made, and recounted. */
import type { ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { invalid, invalidFor, notSupported, required } from '../field-errors.ts';
import { qualifiedNameProblems } from '../names.ts';
import { Quantity } from '../quantity.ts';
import { quotaScopes } from '../quota/scopes.ts';
import { countedByName } from '../quota/usage.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind, splitSpecAndStatus } from './define.ts';
import { validateImmutable } from './metadata.ts';

export const resourceQuotaKind = defineKind<ResourceQuota>({
  ref: resources.resourcequotas,
  kind: 'ResourceQuota',
  showsDeleted: true,
  shortNames: ['quota'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Request', 'Used and allowed: requests and numbers of objects.'),
    column('Limit', 'Used and allowed: limits.'),
    ageColumn,
  ],
  row: (quota, nowMs) => [nameCell(quota), usageCell(quota, false), usageCell(quota, true), ageCell(quota, nowMs)],
  prepareCreate(quota) {
    delete quota.status;
  },
  prepareUpdate: splitSpecAndStatus,
  validate: (quota) => validateSpec(quota.spec ?? {}),
  validateUpdate: (quota, old, target) =>
    target === 'status'
      ? [...validateAmounts(quota.status?.hard, 'status.hard'), ...validateAmounts(quota.status?.used, 'status.used')]
      : [
          ...validateSpec(quota.spec ?? {}),
          ...validateImmutable(quota.spec?.scopes, old.spec?.scopes, 'spec.scopes'),
          ...validateImmutable(quota.spec?.scopeSelector, old.spec?.scopeSelector, 'spec.scopeSelector'),
        ],
});

function usageCell({ status }: ResourceQuota, limits: boolean): string {
  return Object.entries(status?.hard ?? {})
    .filter(([name]) => name.startsWith('limits.') === limits)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, hard]) => `${name}: ${status?.used?.[name] ?? '0'}/${hard}`)
    .join(', ');
}

const amounts = ['cpu', 'memory', 'ephemeral-storage'];
const computed = [...amounts, ...amounts.map((name) => `requests.${name}`), ...amounts.map((name) => `limits.${name}`)];
const counted = [...countedByName, 'pods', 'services.loadbalancers', 'services.nodeports'];
const standard = [...computed, ...counted, 'requests.storage'];

function validateAmounts(list: Record<string, string> = {}, field: string): Cause[] {
  return Object.entries(list).flatMap(([name, text]) => {
    const at = `${field}[${name}]`;
    const causes = validateName(name, at);
    const amount = Quantity.parse(text);
    if (amount.nanos < 0n) causes.push(invalid(at, text, 'must be greater than or equal to 0'));
    const whole = counted.includes(name) || name.startsWith('count/') || name.endsWith('/persistentvolumeclaims');
    if (whole && amount.nanos % 1_000_000_000n !== 0n) causes.push(invalid(at, text, 'must be an integer'));
    return causes;
  });
}

function validateName(name: string, field: string): Cause[] {
  const problems = qualifiedNameProblems(name);
  if (problems.length > 0) return invalidFor(field, name, problems);
  const ofPages = /^(requests\.)?hugepages-/.test(name);
  return name.includes('/') || standard.includes(name) || ofPages
    ? []
    : [invalid(field, name, 'must be a standard resource for quota')];
}

function validateSpec(spec: ResourceQuotaSpec): Cause[] {
  const hard = Object.keys(spec.hard ?? {});
  return [
    ...validateAmounts(spec.hard, 'spec.hard'),
    ...validateScopes({ list: spec.scopes ?? [], field: 'spec.scopes', value: spec.scopes, hard }),
    ...validateSelector(spec, hard),
  ];
}

interface Scopes {
  list: string[];
  field: string;
  value: unknown;
  hard: string[];
}

const opposites = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];

function validateScopes({ list, field, value, hard }: Scopes): Cause[] {
  const causes: Cause[] = [];
  for (const scope of list) {
    if (!quotaScopes.includes(scope)) causes.push(invalid(field, value, 'unsupported scope'));
    else if (hard.some((name) => !fits(scope, name))) {
      causes.push(invalid(field, value, 'unsupported scope applied to resource'));
    }
  }
  for (const pair of opposites) {
    if (pair.every((scope) => list.includes(scope))) causes.push(invalid(field, value, 'conflicting scopes'));
  }
  return causes;
}

/** Scopes are about Pods; those without requests and limits can only be counted. */
function fits(scope: string, name: string): boolean {
  if (scope === 'BestEffort') return name === 'pods' || name === 'count/pods';
  return !counted.includes(name) || name === 'pods';
}

const valueless = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'CrossNamespacePodAffinity'];
const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function validateSelector({ scopeSelector }: ResourceQuotaSpec, hard: string[]): Cause[] {
  const expressions = scopeSelector?.matchExpressions ?? [];
  const field = 'spec.scopeSelector.matchExpressions';
  const list = expressions.map(({ scopeName }) => scopeName);
  return [
    ...validateScopes({ list, field: `${field}.scopeName`, value: list, hard }),
    ...expressions.flatMap((expression) => validateExpression(expression, field)),
  ];
}

function validateExpression(expression: ScopedResourceSelectorRequirement, field: string): Cause[] {
  const { scopeName, operator, values = [] } = expression;
  const causes: Cause[] = [];
  if (valueless.includes(scopeName) && operator !== 'Exists') {
    const detail = `must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`;
    causes.push(invalid(`${field}.operator`, operator, detail));
  }
  if (!operators.includes(operator)) causes.push(notSupported(`${field}.operator`, operator, operators));
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
    const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
    causes.push(required(`${field}.values`, detail));
  }
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
    const detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
    causes.push(invalid(`${field}.values`, values, detail));
  }
  return causes;
}
