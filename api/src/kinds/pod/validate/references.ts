/** References to the Pod's own fields and to keys of ConfigMaps and Secrets, in variables and in files. */
import type { ObjectFieldSelector, ResourceFieldSelector } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { invalid, invalidFor, notSupported, required } from '../../../field-errors.ts';
import { configKeyProblems, dnsSubdomainProblems, qualifiedNameProblems } from '../../../names.ts';
import { tryParseQuantity } from '../../../quantity.ts';

export const envFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

export const fileFieldPaths = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

/** Fields that exist, though not every use may refer to them. */
const knownFieldPaths = [
  ...envFieldPaths,
  ...fileFieldPaths,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
];

const resourceFields = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

export function checkFieldRef(ref: ObjectFieldSelector, field: string, allowed: string[]): Cause[] {
  if (!ref.apiVersion) return [required(`${field}.apiVersion`)];
  if (!ref.fieldPath) return [required(`${field}.fieldPath`)];
  const [, path, subscript] = /^(.*)\['(.*)'\]$/s.exec(ref.fieldPath) ?? [];
  const refuse = (why: string) => [invalid(`${field}.fieldPath`, ref.fieldPath, `error converting fieldPath: ${why}`)];
  if (ref.apiVersion !== 'v1') return refuse(`unsupported pod version: ${ref.apiVersion}`);
  if (!knownFieldPaths.includes(path ?? ref.fieldPath)) return refuse(`field label not supported: ${ref.fieldPath}`);
  if (subscript === undefined) {
    return allowed.includes(ref.fieldPath) ? [] : [notSupported(`${field}.fieldPath`, ref.fieldPath, allowed)];
  }
  if (path === 'metadata.annotations') {
    return invalidFor(field, subscript.toLowerCase(), qualifiedNameProblems(subscript.toLowerCase()));
  }
  if (path === 'metadata.labels') return invalidFor(field, subscript, qualifiedNameProblems(subscript));
  return [invalid(field, path, 'does not support subscript')];
}

/** In files the container has to be named; in variables it is the one they belong to. */
export function checkResourceFieldRef(ref: ResourceFieldSelector, field: string, inFile: boolean): Cause[] {
  const causes: Cause[] = [];
  if (inFile && !ref.containerName) causes.push(required(`${field}.containerName`));
  else if (!ref.resource) causes.push(required(`${field}.resource`));
  else if (!resourceFields.includes(ref.resource)) {
    causes.push(notSupported(`${field}.resource`, ref.resource, resourceFields));
  }
  return [...causes, ...checkDivisor(ref, field)];
}

const byteDivisors = ['1', ...[...'kMGTPE'].flatMap((unit) => [`1${unit}`, `1${unit === 'k' ? 'K' : unit}i`])];

function checkDivisor({ resource = '', divisor }: ResourceFieldSelector, field: string): Cause[] {
  const value = tryParseQuantity(divisor ?? '0');
  if (!value || value.isZero()) return [];
  const isCpu = resource.endsWith('.cpu');
  if ((isCpu ? ['1m', '1'] : byteDivisors).includes(value.toString())) return [];
  const units = '1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei';
  const kind = resource.endsWith('ephemeral-storage') ? 'local ephemeral storage' : 'memory';
  const detail = isCpu
    ? "only divisor's values 1m and 1 are supported with the cpu resource"
    : `only divisor's values ${units} are supported with the ${kind} resource`;
  return [invalid(`${field}.divisor`, resource, detail)];
}

/** configMapKeyRef and secretKeyRef. */
export function checkKeyRef(ref: { name?: string; key?: string }, field: string): Cause[] {
  const { name = '', key } = ref;
  const causes = invalidFor(`${field}.name`, name, dnsSubdomainProblems(name));
  if (!key) causes.push(required(`${field}.key`));
  else causes.push(...invalidFor(`${field}.key`, key, configKeyProblems(key)));
  return causes;
}
