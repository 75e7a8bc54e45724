/** securityContext of Pod and containers. */
import type { PodSecurityContext, SeccompProfile, SecurityContext } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { duplicate, invalid, notSupported, required } from '../../../field-errors.ts';
import { rangeMessage } from '../../../names.ts';
import { checkDescendingPath } from './paths.ts';

/** validation.IsValidUserID: less than the kernel would take. */
const maxId = 0x7fffffff;
const sysctlPattern = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
const maxSysctlLength = 253;
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const changePolicies = ['Always', 'OnRootMismatch'];
const groupPolicies = ['Merge', 'Strict'];
const procMounts = ['Default', 'Unmasked'];

type PodContext = PodSecurityContext & Profiles & { supplementalGroupsPolicy?: string };
interface Profiles {
  appArmorProfile?: SeccompProfile;
}

export function validatePodSecurity(context: PodContext = {}, field = 'spec.securityContext'): Cause[] {
  const causes: Cause[] = [];
  for (const name of ['fsGroup', 'runAsUser', 'runAsGroup'] as const)
    causes.push(...checkId(context[name], `${field}.${name}`));
  for (const [i, id] of (context.supplementalGroups ?? []).entries()) {
    causes.push(...checkId(id, `${field}.supplementalGroups[${i}]`));
  }
  causes.push(...checkSysctls(context.sysctls, `${field}.sysctls`));
  causes.push(...checkOneOf(context.fsGroupChangePolicy, changePolicies, `${field}.fsGroupChangePolicy`));
  causes.push(...checkOneOf(context.supplementalGroupsPolicy, groupPolicies, `${field}.supplementalGroupsPolicy`));
  return [...causes, ...checkProfiles(context, field)];
}

export function validateContainerSecurity(context: (SecurityContext & Profiles) | undefined, field: string): Cause[] {
  if (!context) return [];
  const causes: Cause[] = [];
  for (const name of ['runAsUser', 'runAsGroup'] as const) causes.push(...checkId(context[name], `${field}.${name}`));
  causes.push(...checkOneOf(context.procMount, procMounts, `${field}.procMount`));
  causes.push(...checkProfiles(context, field));
  if (context.allowPrivilegeEscalation !== false) return causes;
  if (context.privileged) {
    const detail = 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true';
    causes.push(invalid(field, context, detail));
  }
  if (context.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
    const detail = 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN';
    causes.push(invalid(field, context, detail));
  }
  return causes;
}

function checkId(id: number | undefined, field: string): Cause[] {
  return id === undefined || (id >= 0 && id <= maxId) ? [] : [invalid(field, id, rangeMessage(0, maxId))];
}

function checkOneOf(value: string | undefined, supported: string[], field: string): Cause[] {
  return value === undefined || supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

function checkSysctls(sysctls: PodSecurityContext['sysctls'] = [], field: string): Cause[] {
  const seen = new Set<string>();
  return sysctls.flatMap(({ name }, i) => {
    const at = `${field}[${i}].name`;
    if (!name) return [required(at)];
    if (name.length > maxSysctlLength || !new RegExp(sysctlPattern).test(name)) {
      return [invalid(at, name, `must have at most ${maxSysctlLength} characters and match regex ${sysctlPattern}`)];
    }
    const isRepeated = seen.has(name);
    seen.add(name);
    return isRepeated ? [duplicate(at, name)] : [];
  });
}

function checkProfiles(context: Profiles & { seccompProfile?: SeccompProfile }, field: string): Cause[] {
  return [
    ...checkProfile(context.seccompProfile, { field: `${field}.seccompProfile`, word: 'seccomp' }),
    ...checkProfile(context.appArmorProfile, { field: `${field}.appArmorProfile`, word: 'AppArmor' }),
  ];
}

function checkProfile(profile: SeccompProfile | undefined, { field, word }: { field: string; word: string }): Cause[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  if (!type) return [required(`${field}.type`, `type is required when ${field.split('.').at(-1)} is set`)];
  if (!profileTypes.includes(type)) return [notSupported(`${field}.type`, type, profileTypes)];
  const at = `${field}.localhostProfile`;
  if (type === 'Localhost') {
    return localhostProfile === undefined
      ? [required(at, `must be set when ${word} type is Localhost`)]
      : checkDescendingPath(localhostProfile, at);
  }
  if (localhostProfile === undefined) return [];
  return [invalid(at, localhostProfile, `can only be set when ${word} type is Localhost`)];
}
