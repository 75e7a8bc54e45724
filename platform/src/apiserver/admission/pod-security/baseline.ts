/** The baseline level: what would let a Pod out of its container is forbidden. In order of the checks' names, as they are reported. */
import type { SELinuxOptions } from 'kubernetes-types/core/v1.js';
import {
  type Check,
  containersOf,
  containersText,
  type Finding,
  plural,
  quoted,
  type Subject,
  setters,
} from './check.ts';
import { isAllowedSysctl } from './sysctls.ts';

const defaultCapabilities = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

export const baselineChecks: Check[] = [
  { id: 'appArmorProfile', since: 0, run: appArmorProfile },
  { id: 'capabilities_baseline', since: 0, run: ({ spec }) => addedCapabilities(spec) },
  { id: 'hostNamespaces', since: 0, run: hostNamespaces },
  { id: 'hostPathVolumes', since: 0, run: hostPathVolumes },
  { id: 'hostPorts', since: 0, run: hostPorts },
  { id: 'privileged', since: 0, run: privileged },
  { id: 'procMount', since: 0, run: procMount },
  { id: 'seLinuxOptions', since: 0, run: seLinuxOptions },
  { id: 'seccompProfile_baseline', since: 19, run: seccompProfile },
  { id: 'sysctls', since: 0, run: sysctls },
  { id: 'windowsHostProcess', since: 0, run: windowsHostProcess },
];

const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

function appArmorProfile({ spec, annotations }: Subject): Finding | undefined {
  const allowedType = (type: string | undefined) =>
    type === undefined || type === 'RuntimeDefault' || type === 'Localhost';
  const podType = (spec.securityContext as { appArmorProfile?: { type?: string } } | undefined)?.appArmorProfile?.type;
  const bad = containersOf(spec).filter(({ context }) => !allowedType(context.appArmorProfile?.type));
  const types = [
    ...(allowedType(podType) ? [] : [podType]),
    ...bad.map(({ context }) => context.appArmorProfile?.type),
  ];
  const annotated = Object.entries(annotations).filter(
    ([key, value]) =>
      key.startsWith(appArmorAnnotation) &&
      value !== '' &&
      value !== 'runtime/default' &&
      !value.startsWith('localhost/'),
  );
  if (types.length + annotated.length === 0) return undefined;
  const who = setters(
    !allowedType(podType),
    bad.map(({ name }) => name),
  );
  const what = quoted([...new Set(types as string[])].sort());
  const details = [
    ...(types.length > 0 ? [`${who} must not set AppArmor profile type to ${what}`] : []),
    ...(annotated.length > 0 ? [annotationsText(annotated)] : []),
  ];
  const count = types.length + annotated.length;
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', count),
    detail: details.join(' and '),
  };
}

function annotationsText(annotated: [string, string][]): string {
  const list = annotated.map(([key, value]) => `${key}=${JSON.stringify(value)}`).sort();
  return `${plural('annotation', 'annotations', list.length)} ${list.join(', ')}`;
}

function addedCapabilities(spec: Subject['spec']): Finding | undefined {
  const bad: string[] = [];
  const added = new Set<string>();
  for (const { name, context } of containersOf(spec)) {
    const more = (context.capabilities?.add ?? []).filter((one) => !defaultCapabilities.includes(one));
    if (more.length > 0) bad.push(name);
    for (const one of more) added.add(one);
  }
  if (bad.length === 0) return undefined;
  const what = quoted([...added].sort());
  return {
    reason: 'non-default capabilities',
    detail: `${containersText(bad)} must not include ${what} in securityContext.capabilities.add`,
  };
}

function hostNamespaces({ spec }: Subject): Finding | undefined {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name]);
  return used.length > 0
    ? { reason: 'host namespaces', detail: used.map((name) => `${name}=true`).join(', ') }
    : undefined;
}

function hostPathVolumes({ spec }: Subject): Finding | undefined {
  const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
  if (names.length === 0) return undefined;
  return { reason: 'hostPath volumes', detail: `${plural('volume', 'volumes', names.length)} ${quoted(names)}` };
}

function hostPorts({ spec }: Subject): Finding | undefined {
  const bad: string[] = [];
  const ports = new Set<number>();
  for (const container of containersOf(spec)) {
    const used = container.ports.flatMap(({ hostPort }) => (hostPort ? [hostPort] : []));
    if (used.length > 0) bad.push(container.name);
    for (const port of used) ports.add(port);
  }
  if (bad.length === 0) return undefined;
  const use = plural('uses', 'use', bad.length);
  const list = [...ports].map(String).sort().join(', ');
  return {
    reason: 'hostPort',
    detail: `${containersText(bad)} ${use} ${plural('hostPort', 'hostPorts', ports.size)} ${list}`,
  };
}

function privileged({ spec }: Subject): Finding | undefined {
  const bad = containersOf(spec).filter(({ context }) => context.privileged);
  if (bad.length === 0) return undefined;
  const who = containersText(bad.map(({ name }) => name));
  return { reason: 'privileged', detail: `${who} must not set securityContext.privileged=true` };
}

function procMount({ spec }: Subject): Finding | undefined {
  const bad = containersOf(spec).filter(({ context }) => context.procMount && context.procMount !== 'Default');
  if (bad.length === 0) return undefined;
  const types = quoted([...new Set(bad.map(({ context }) => context.procMount ?? ''))].sort());
  const who = containersText(bad.map(({ name }) => name));
  return { reason: 'procMount', detail: `${who} must not set securityContext.procMount to ${types}` };
}

const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t'];

function seLinuxOptions({ spec }: Subject, minor: number): Finding | undefined {
  const allowed = minor >= 31 ? [...seLinuxTypes, 'container_engine_t'] : seLinuxTypes;
  const isBad = (options: SELinuxOptions = {}) => !allowed.includes(options.type ?? '') || options.user || options.role;
  const ofPod = spec.securityContext?.seLinuxOptions;
  const bad = containersOf(spec).filter(({ context }) => isBad(context.seLinuxOptions));
  const all = [...(isBad(ofPod) ? [ofPod] : []), ...bad.map(({ context }) => context.seLinuxOptions)];
  if (all.length === 0) return undefined;
  const types = [...new Set(all.map((options) => options?.type ?? ''))]
    .filter((type) => !allowed.includes(type))
    .sort();
  const data = [
    ...(types.length > 0 ? [`${plural('type', 'types', types.length)} ${quoted(types)}`] : []),
    ...(all.some((options) => options?.user) ? ['user may not be set'] : []),
    ...(all.some((options) => options?.role) ? ['role may not be set'] : []),
  ];
  const who = setters(
    Boolean(isBad(ofPod)),
    bad.map(({ name }) => name),
  );
  return {
    reason: 'seLinuxOptions',
    detail: `${who} set forbidden securityContext.seLinuxOptions: ${data.join('; ')}`,
  };
}

export const allowedSeccomp = (type: string | undefined): boolean => type === 'RuntimeDefault' || type === 'Localhost';

/** Profiles that were set and may not be; also what the restricted level refuses first. */
export function seccompProfile({ spec }: Subject): Finding | undefined {
  const isBad = (type: string | undefined) => type !== undefined && !allowedSeccomp(type);
  const ofPod = spec.securityContext?.seccompProfile?.type;
  const bad = containersOf(spec).filter(({ context }) => isBad(context.seccompProfile?.type));
  const types = [
    ...(isBad(ofPod) ? [ofPod ?? ''] : []),
    ...bad.map(({ context }) => context.seccompProfile?.type ?? ''),
  ];
  if (types.length === 0) return undefined;
  const who = setters(
    isBad(ofPod),
    bad.map(({ name }) => name),
  );
  const what = quoted([...new Set(types)].sort());
  return { reason: 'seccompProfile', detail: `${who} must not set securityContext.seccompProfile.type to ${what}` };
}

function sysctls({ spec }: Subject, minor: number): Finding | undefined {
  const bad = (spec.securityContext?.sysctls ?? [])
    .map(({ name }) => name)
    .filter((name) => !isAllowedSysctl(name, minor));
  return bad.length > 0 ? { reason: 'forbidden sysctls', detail: bad.join(', ') } : undefined;
}

function windowsHostProcess({ spec }: Subject): Finding | undefined {
  const ofPod = Boolean(spec.securityContext?.windowsOptions?.hostProcess);
  const bad = containersOf(spec).filter(({ context }) => context.windowsOptions?.hostProcess);
  if (!ofPod && bad.length === 0) return undefined;
  const who = setters(
    ofPod,
    bad.map(({ name }) => name),
  );
  return { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` };
}
