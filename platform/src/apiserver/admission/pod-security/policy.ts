/** Which level and version of the Pod Security Standards a namespace asks for, and what of a Pod they forbid. Pure. */
import type { Cause } from '@sampan/api/errors.ts';
import { invalid } from '@sampan/api/field-errors.ts';
import { baselineChecks } from './baseline.ts';
import type { Check, Subject } from './check.ts';
import { restrictedChecks } from './restricted.ts';

export const modes = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof modes)[number];

const levels = ['privileged', 'baseline', 'restricted'] as const;
type Level = (typeof levels)[number];

/** What this server knows; `latest` and later ones mean it. */
const latestMinor = 33;

export interface Policy {
  level: Level;
  /** `latest` or v1.x, as it is told. */
  version: string;
}

const labelOf = (mode: Mode) => `pod-security.kubernetes.io/${mode}`;

/** Without a label a namespace is privileged; with one that nobody can read it is restricted (as k8s.io/pod-security-admission/api). */
export function policyOf(labels: Record<string, string> = {}, mode: Mode): Policy {
  const level = labels[labelOf(mode)] ?? 'privileged';
  const version = labels[`${labelOf(mode)}-version`] ?? 'latest';
  return {
    level: levels.includes(level as Level) ? (level as Level) : 'restricted',
    version: minorOf(version) === undefined ? 'latest' : version,
  };
}

export const stricter = (a: Policy, b: Policy): boolean => levels.indexOf(a.level) > levels.indexOf(b.level);

function minorOf(version: string): number | undefined {
  if (version === 'latest') return latestMinor;
  const match = /^v1\.(0|[1-9]\d{0,3})$/.exec(version);
  return match ? Math.min(Number(match[1]), latestMinor) : undefined;
}

/** What is wrong with a namespace's labels. */
export function labelProblems(labels: Record<string, string> = {}): Cause[] {
  return modes.flatMap((mode) => {
    const [level, version] = [labels[labelOf(mode)], labels[`${labelOf(mode)}-version`]];
    const causes: Cause[] = [];
    if (level !== undefined && !levels.includes(level as Level)) {
      causes.push(invalid(`metadata.labels[${labelOf(mode)}]`, level, `must be one of ${levels.join(', ')}`));
    }
    if (version !== undefined && minorOf(version) === undefined) {
      causes.push(invalid(`metadata.labels[${labelOf(mode)}-version]`, version, 'must be "latest" or "v1.x"'));
    }
    return causes;
  });
}

/** `privileged (container "a" must not ...), runAsNonRoot != true (...)`; undefined when nothing is forbidden. */
export function violations({ level, version }: Policy, subject: Subject): string | undefined {
  if (level === 'privileged') return undefined;
  const minor = minorOf(version) ?? latestMinor;
  const found = checksOf(level, minor).flatMap((check) => check.run(subject, minor) ?? []);
  if (found.length === 0) return undefined;
  return found.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(', ');
}

function checksOf(level: Level, minor: number): Check[] {
  const restricted = level === 'restricted' ? restrictedChecks.filter(({ since }) => since <= minor) : [];
  const overridden = restricted.map(({ overrides }) => overrides);
  return [...baselineChecks.filter(({ id, since }) => since <= minor && !overridden.includes(id)), ...restricted];
}
