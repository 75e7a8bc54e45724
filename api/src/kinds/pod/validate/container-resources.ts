/** resources of a container: names, amounts, and requests within limits. */
import type { ResourceRequirements } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { invalid, invalidFor, required } from '../../../field-errors.ts';
import { qualifiedNameProblems } from '../../../names.ts';
import { Quantity } from '../../../quantity.ts';

const standard = ['cpu', 'memory', 'ephemeral-storage'];

export function validateResources({ limits = {}, requests = {} }: ResourceRequirements, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [name, amount] of Object.entries(limits))
    causes.push(...checkAmount(name, amount, `${field}.limits[${name}]`));
  for (const [name, text] of Object.entries(requests)) {
    causes.push(...checkAmount(name, text, `${field}.requests[${name}]`));
    causes.push(...checkWithinLimit({ name, text, limit: limits[name] }, field));
  }
  return causes;
}

function checkAmount(name: string, text: string, field: string): Cause[] {
  const causes = invalidFor(field, name, qualifiedNameProblems(name));
  if (causes.length === 0) causes.push(...checkName(name, field));
  const amount = Quantity.parse(text);
  if (amount.nanos < 0n) causes.push(invalid(field, text, 'must be greater than or equal to 0'));
  if (isExtended(name) && amount.milliValue() % 1000 !== 0) causes.push(invalid(field, text, 'must be an integer'));
  return causes;
}

function checkName(name: string, field: string): Cause[] {
  if (!name.includes('/')) {
    return standard.includes(name) || isHugePages(name)
      ? []
      : [invalid(field, name, 'must be a standard resource for containers')];
  }
  return [];
}

function checkWithinLimit(request: { name: string; text: string; limit: string | undefined }, field: string): Cause[] {
  const { name, text, limit } = request;
  const isShared = !isExtended(name) && !isHugePages(name);
  if (limit === undefined) {
    return isShared ? [] : [required(`${field}.limits`, 'Limit must be set for non overcommitable resources')];
  }
  const order = Quantity.parse(text).compare(Quantity.parse(limit));
  if (order === 0 || (order < 0 && isShared)) return [];
  const relation = isShared ? 'must be less than or equal to' : 'must be equal to';
  return [invalid(`${field}.requests`, text, `${relation} ${name} limit of ${limit}`)];
}

const isHugePages = (name: string) => name.startsWith('hugepages-');

/** A resource of somebody else's making, counted in whole numbers. */
const isExtended = (name: string) => name.includes('/') && !name.startsWith('kubernetes.io/');
