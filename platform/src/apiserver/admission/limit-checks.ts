/** What is wrong with a Pod or claim by the items of a LimitRange, in the words of plugin/pkg/admission/limitranger. Pure. */
import { type Amounts, parseAmounts, podAmounts } from '@sampan/api/quota/amounts.ts';
import type { LimitRangeItem, PersistentVolumeClaim, Pod } from 'kubernetes-types/core/v1.js';

interface Asked {
  requests: Amounts;
  limits: Amounts;
}

export function podProblems(pod: Pod, items: LimitRangeItem[]): string[] {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return items.flatMap((item) => {
    if (item.type === 'Container') {
      return containers.flatMap(({ resources }) => {
        const asked = { requests: parseAmounts(resources?.requests), limits: parseAmounts(resources?.limits) };
        return problems(item, asked);
      });
    }
    if (item.type !== 'Pod') return [];
    return problems(item, { requests: podAmounts(pod, 'requests'), limits: podAmounts(pod, 'limits') });
  });
}

export function claimProblems(claim: PersistentVolumeClaim, items: LimitRangeItem[]): string[] {
  const requests = parseAmounts(claim.spec?.resources?.requests);
  return items
    .filter(({ type }) => type === 'PersistentVolumeClaim')
    .flatMap((item) => [
      ...each(item.min, (name, least) => tooLittle({ name, bound: least, item }, { requests, limits: {} })),
      ...each(item.max, (name, most) => tooLargeRequest({ name, bound: most, item }, requests)),
    ]);
}

function problems(item: LimitRangeItem, asked: Asked): string[] {
  return [
    ...each(item.min, (name, bound) => tooLittle({ name, bound, item }, asked)),
    ...each(item.max, (name, bound) => tooMuch({ name, bound, item }, asked)),
    ...each(item.maxLimitRequestRatio, (name, bound) => tooFarApart({ name, bound, item }, asked)),
  ];
}

interface Check {
  name: string;
  bound: Amounts[string];
  item: LimitRangeItem;
}

function each(
  bounds: Record<string, string> | undefined,
  check: (name: string, bound: Amounts[string]) => string | undefined,
): string[] {
  return Object.entries(parseAmounts(bounds)).flatMap(([name, bound]) => check(name, bound) ?? []);
}

function tooLittle({ name, bound, item }: Check, { requests, limits }: Asked): string | undefined {
  const head = `minimum ${name} usage per ${item.type} is ${bound}`;
  const [request, limit] = [requests[name], limits[name]];
  if (!request) return `${head}.  No request is specified`;
  if (request.compare(bound) < 0) return `${head}, but request is ${request}`;
  return limit && limit.compare(bound) < 0 ? `${head}, but limit is ${limit}` : undefined;
}

function tooMuch({ name, bound, item }: Check, { requests, limits }: Asked): string | undefined {
  const head = `maximum ${name} usage per ${item.type} is ${bound}`;
  const [request, limit] = [requests[name], limits[name]];
  if (!limit) return `${head}.  No limit is specified`;
  if (limit.compare(bound) > 0) return `${head}, but limit is ${limit}`;
  return request && request.compare(bound) > 0 ? `${head}, but request is ${request}` : undefined;
}

function tooLargeRequest({ name, bound, item }: Check, requests: Amounts): string | undefined {
  const head = `maximum ${name} usage per ${item.type} is ${bound}`;
  const request = requests[name];
  if (!request) return `${head}.  No request is specified`;
  return request.compare(bound) > 0 ? `${head}, but request is ${request}` : undefined;
}

function tooFarApart({ name, bound, item }: Check, { requests, limits }: Asked): string | undefined {
  const head = `${name} max limit to request ratio per ${item.type} is ${bound}`;
  const [request, limit] = [requests[name], limits[name]];
  if (!request || request.isZero()) return `${head}, but no request is specified or request is 0`;
  if (!limit || limit.isZero()) return `${head}, but no limit is specified or limit is 0`;
  const ratio = Number(limit.nanos) / Number(request.nanos);
  return ratio > bound.milliValue() / 1000 ? `${head}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
}
