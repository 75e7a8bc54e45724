/** PolicyRules: what they allow, whether some cover others, and how they are told. Pure. */
import type { PolicyRule } from 'kubernetes-types/rbac/v1.js';
import type { NonResourceRule, ResourceRule, Rules } from '../authorizer.ts';

/** The form authorizers work with. */
export function toRules(rules: readonly PolicyRule[]): Rules {
  const resourceRules: ResourceRule[] = [];
  const nonResourceRules: NonResourceRule[] = [];
  for (const { verbs, apiGroups = [], resources = [], resourceNames, nonResourceURLs } of rules) {
    if (nonResourceURLs?.length) nonResourceRules.push({ verbs, nonResourceURLs });
    else resourceRules.push({ verbs, apiGroups, resources, ...(resourceNames?.length ? { resourceNames } : {}) });
  }
  return { resourceRules, nonResourceRules };
}

/** Those parts of `asked`, each of one verb and one thing, that `held` does not allow (component-helpers Covers). */
export function notCovered(held: readonly PolicyRule[], asked: readonly PolicyRule[]): PolicyRule[] {
  return asked.flatMap(split).filter((part) => !held.some((rule) => covers(rule, part)));
}

/** Into rules of one verb and one resource, name or path. */
function split(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const verb of rule.verbs) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) parts.push(part);
        for (const name of names) parts.push({ ...part, resourceNames: [name] });
      }
    }
    for (const path of rule.nonResourceURLs ?? []) parts.push({ nonResourceURLs: [path], verbs: [verb] });
  }
  return parts;
}

function covers(rule: PolicyRule, part: PolicyRule): boolean {
  const has = (list: string[] | undefined, [value]: string[] = []) =>
    value === undefined || list?.includes('*') || list?.includes(value);
  if (!has(rule.verbs, part.verbs) || !has(rule.apiGroups, part.apiGroups)) return false;
  if (!part.nonResourceURLs) return coversResource(rule, part);
  const [path = ''] = part.nonResourceURLs;
  return (rule.nonResourceURLs ?? []).some(
    (held) => held === path || (held.endsWith('*') && path.startsWith(held.slice(0, -1))),
  );
}

function coversResource(rule: PolicyRule, { resources: [resource = ''] = [], resourceNames }: PolicyRule): boolean {
  const held = rule.resources ?? [];
  const subresource = resource.indexOf('/');
  const anyParent = subresource > 0 && held.includes(`*${resource.slice(subresource)}`);
  if (!held.includes('*') && !held.includes(resource) && !anyParent) return false;
  if (!rule.resourceNames?.length) return true;
  return resourceNames?.every((name) => rule.resourceNames?.includes(name)) ?? false;
}

/** Rules of one thing each, their verbs put together (component-helpers CompactRules). */
function compact(parts: PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule>();
  for (const { verbs, ...thing } of parts) {
    const key = JSON.stringify(thing);
    const before = merged.get(key);
    merged.set(key, before ? { ...before, verbs: [...before.verbs, ...verbs] } : { ...thing, verbs });
  }
  return [...merged.values()];
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, a line each, as kube-apiserver tells them. */
export function describeRules(parts: PolicyRule[]): string {
  const list = (name: string, values: string[] | undefined) =>
    values?.length ? [`${name}:[${values.map((value) => JSON.stringify(value)).join(' ')}]`] : [];
  const lines = compact(parts).map((rule) => {
    const members = [
      ...list('APIGroups', rule.apiGroups),
      ...list('Resources', rule.resources),
      ...list('NonResourceURLs', rule.nonResourceURLs),
      ...list('ResourceNames', rule.resourceNames),
      ...list('Verbs', rule.verbs),
    ];
    return `{${members.join(', ')}}`;
  });
  return [...new Set(lines)].sort().join('\n');
}
