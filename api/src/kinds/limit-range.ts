/** LimitRange: what containers, Pods and claims of a namespace may ask for, and what they get when they do not ask. */
import type { LimitRange, LimitRangeItem } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { duplicate, forbidden, invalid, invalidFor, required } from '../field-errors.ts';
import { qualifiedNameProblems } from '../names.ts';
import { Quantity } from '../quantity.ts';
import { column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';

const standardTypes = ['Pod', 'Container', 'PersistentVolumeClaim'];

export const limitRangeKind = defineKind<LimitRange>({
  ref: resources.limitranges,
  kind: 'LimitRange',
  shortNames: ['limits'],
  columns: [nameColumn, column('Created At', 'When the object was created.', { type: 'date' })],
  row: (range) => [nameCell(range), String(range.metadata?.creationTimestamp ?? '')],
  defaults(range) {
    for (const item of range.spec?.limits ?? []) if (item.type === 'Container') defaultContainerItem(item);
  },
  validate(range) {
    const seen = new Set<string>();
    return (range.spec?.limits ?? []).flatMap((item, i) => {
      const field = `spec.limits[${i}]`;
      const causes = seen.has(item.type) ? [duplicate(`${field}.type`, item.type)] : [];
      seen.add(item.type);
      return [...validateType(item.type, `${field}.type`), ...causes, ...validateItem(item, field)];
    });
  },
});

/** A limit stands in for a request that is not named; max and min stand in for both. */
function defaultContainerItem(item: LimitRangeItem): void {
  const limits = { ...item.max, ...item.default };
  const requests = { ...item.min, ...limits, ...item.defaultRequest };
  if (Object.keys(limits).length > 0) item.default = limits;
  if (Object.keys(requests).length > 0) item.defaultRequest = requests;
}

function validateType(type: string, field: string): Cause[] {
  const problems = qualifiedNameProblems(type);
  if (problems.length > 0) return invalidFor(field, type, problems);
  if (type.includes('/') || standardTypes.includes(type)) return [];
  return [invalid(field, type, 'must be a standard limit type or fully qualified')];
}

const bounds = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

function validateItem(item: LimitRangeItem, field: string): Cause[] {
  const causes: Cause[] = [];
  const names = new Set<string>();
  for (const bound of bounds) {
    for (const name of Object.keys(item[bound] ?? {})) {
      names.add(name);
      causes.push(...validateResourceName(item.type, name, `${field}.${bound}[${name}]`));
    }
  }
  for (const bound of ['default', 'defaultRequest'] as const) {
    if (item.type !== 'Pod' || !item[bound]) continue;
    causes.push(forbidden(`${field}.${bound}`, "may not be specified when `type` is 'Pod'"));
  }
  if (item.type === 'PersistentVolumeClaim' && !item.min?.storage && !item.max?.storage) {
    causes.push(required(field, 'either minimum or maximum storage value is required, but neither was provided'));
  }
  return [...causes, ...[...names].flatMap((name) => validateOrder(item, name, field))];
}

const containerResources = ['cpu', 'memory', 'ephemeral-storage'];

function validateResourceName(type: string, name: string, field: string): Cause[] {
  const problems = qualifiedNameProblems(name);
  if (problems.length > 0) return invalidFor(field, name, problems);
  if (name.includes('/') || containerResources.includes(name) || name.startsWith('hugepages-')) return [];
  if (type === 'PersistentVolumeClaim' && name === 'storage') return [];
  if (type === 'Pod' || type === 'Container')
    return [invalid(field, name, 'must be a standard resource for containers')];
  return [invalid(field, name, 'must be a standard resource type or fully qualified')];
}

function validateOrder(item: LimitRangeItem, name: string, field: string): Cause[] {
  const causes: Cause[] = [];
  const amount = (bound: (typeof bounds)[number]) =>
    item[bound]?.[name] ? Quantity.parse(item[bound][name]) : undefined;
  const [max, min, limit, request] = [amount('max'), amount('min'), amount('default'), amount('defaultRequest')];
  const demandOrder = (
    low: Quantity | undefined,
    high: Quantity | undefined,
    { at, text }: { at: string; text: [string, string] },
  ) => {
    if (!low || !high || low.compare(high) <= 0) return;
    const shown = at === 'defaultRequest' ? request : at === 'default' ? limit : min;
    causes.push(
      invalid(
        `${field}.${at}[${name}]`,
        `${shown}`,
        `${text[0]} value ${low} is greater than ${text[1]} value ${high}`,
      ),
    );
  };
  demandOrder(min, max, { at: 'min', text: ['min', 'max'] });
  demandOrder(min, request, { at: 'defaultRequest', text: ['min', 'default request'] });
  demandOrder(request, max, { at: 'defaultRequest', text: ['default request', 'max'] });
  demandOrder(request, limit, { at: 'defaultRequest', text: ['default request', 'default limit'] });
  demandOrder(min, limit, { at: 'default', text: ['min', 'default'] });
  demandOrder(limit, max, { at: 'default', text: ['default', 'max'] });
  return [...causes, ...validateRatio(name, { field, ratio: amount('maxLimitRequestRatio'), min, max })];
}

interface Ratio {
  field: string;
  ratio: Quantity | undefined;
  min: Quantity | undefined;
  max: Quantity | undefined;
}

function validateRatio(name: string, { field, ratio, min, max }: Ratio): Cause[] {
  if (!ratio) return [];
  const at = `${field}.maxLimitRequestRatio[${name}]`;
  const causes: Cause[] = [];
  if (ratio.milliValue() < 1000) causes.push(invalid(at, `${ratio}`, `ratio ${ratio} is less than 1`));
  if (min && max && !min.isZero()) {
    const highest = Number(max.nanos) / Number(min.nanos);
    if (ratio.milliValue() / 1000 > highest) {
      causes.push(invalid(at, `${ratio}`, `ratio ${ratio} is greater than max/min = ${highest.toFixed(6)}`));
    }
  }
  return causes;
}
