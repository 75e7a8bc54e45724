/**
 * What Kubernetes knows and this build does not do, field by field: refused by name, never ignored. A feature that is built removes its line
 * here; nothing else stands in its way. seLinuxOptions are not among it: on a machine without SELinux they mean nothing, here as on any
 * other node.
 */
import type { Pod, Volume } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden } from '../../../field-errors.ts';
import { isJsonObject } from '../../../json.ts';
import { containersOf } from '../pod-types.ts';

interface Unsupported {
  /** From where the table stands; `[*]` is every element. */
  path: string;
  why: string;
  /** Which values are meant. Default: any but false, 0 and the empty ones. */
  when?: (value: unknown) => boolean;
}

const is =
  (...wanted: unknown[]) =>
  (value: unknown) =>
    wanted.includes(value);

/** The RuntimeClass of virtual machines; a Pod that names none has it. */
const machineClass = 'vm';
const ownMachine = 'a Pod runs in a machine of its own';

/** What a machine of its own cannot have, and a Pod on the host's kernel can (RuntimeClass namespace). */
const inMachines: Unsupported[] = [
  { path: 'hostNetwork', why: `${ownMachine}, with a network of its own` },
  { path: 'hostPID', why: `${ownMachine}, with processes of its own` },
  { path: 'hostIPC', why: `${ownMachine}, with an IPC space of its own` },
];

const inMachinesContainers: Unsupported[] = [
  {
    path: 'volumeMounts[*].mountPropagation',
    when: is('Bidirectional'),
    why: "a machine's mounts stay in the machine",
  },
];

const inSpec: Unsupported[] = [
  { path: 'hostUsers', when: is(false), why: 'user namespaces are not used inside a machine' },
  { path: 'os.name', when: is('windows'), why: 'Pods run Linux' },
  { path: 'resources', why: 'set resources on the containers' },
  { path: 'resourceClaims', why: 'devices are not allocated by claims' },
  { path: 'schedulingGroup', why: 'Pods are scheduled one by one' },
  { path: 'hostnameOverride', why: 'use hostname and subdomain' },
  { path: 'securityContext.seLinuxChangePolicy', why: 'guests have no SELinux' },
  { path: 'securityContext.windowsOptions', why: 'Pods run Linux' },
  { path: 'securityContext.appArmorProfile.type', when: is('Localhost'), why: 'guests have no AppArmor profiles' },
];

const inContainers: Unsupported[] = [
  { path: 'volumeDevices', why: 'there are no block volumes' },
  { path: 'resizePolicy', why: 'a running machine does not change its size' },
  { path: 'restartPolicyRules', why: 'use the restart policy of the Pod' },
  { path: 'lifecycle.stopSignal', why: "set the image's StopSignal" },
  { path: 'resources.claims', why: 'devices are not allocated by claims' },
  { path: 'env[*].valueFrom.fileKeyRef', why: 'variables are not read from files' },
  { path: 'securityContext.windowsOptions', why: 'Pods run Linux' },
  { path: 'securityContext.procMount', when: is('Unmasked'), why: 'use privileged: it stays within the machine' },
  { path: 'securityContext.appArmorProfile.type', when: is('Localhost'), why: 'guests have no AppArmor profiles' },
  ...['limits', 'requests'].map((list) => ({
    path: `resources.${list}`,
    when: (value: unknown) => isJsonObject(value) && Object.keys(value).some((name) => name.startsWith('hugepages-')),
    why: 'guests have no huge pages',
  })),
];

const volumeSources = new Set(['configMap', 'downwardAPI', 'emptyDir', 'hostPath', 'projected', 'secret']);
const projections = new Set(['configMap', 'downwardAPI', 'secret', 'serviceAccountToken']);

export function unsupportedFields(pod: Pod): Cause[] {
  const causes = search(pod.spec, inSpec, 'spec');
  // Another class may be one of the host's kernel: whoever runs the Pod knows, and refuses there.
  const { runtimeClassName = machineClass } = pod.spec ?? {};
  const isMachine = runtimeClassName === machineClass;
  if (isMachine) causes.push(...search(pod.spec, inMachines, 'spec'));
  for (const { container, path } of containersOf(pod)) {
    causes.push(...search(container, inContainers, path));
    if (isMachine) causes.push(...search(container, inMachinesContainers, path));
  }
  for (const [i, volume] of (pod.spec?.volumes ?? []).entries())
    causes.push(...unsupportedSources(volume, `spec.volumes[${i}]`));
  return causes;
}

function unsupportedSources(volume: Volume, field: string): Cause[] {
  const supported = [...volumeSources].join(', ');
  const causes = Object.keys(volume)
    .filter((kind) => kind !== 'name' && !volumeSources.has(kind))
    .map((kind) => refuse(`${field}.${kind}`, `volumes of this kind; supported are ${supported}`));
  for (const [i, source] of (volume.projected?.sources ?? []).entries()) {
    const others = Object.keys(source).filter((kind) => !projections.has(kind));
    causes.push(
      ...others.map((kind) => refuse(`${field}.projected.sources[${i}].${kind}`, 'projections of this kind')),
    );
  }
  return causes;
}

function search(root: unknown, table: Unsupported[], field: string): Cause[] {
  return table.flatMap(({ path, why, when = isSet }) =>
    valuesAt(root, path.split('.'), field)
      .filter(({ value }) => value !== undefined && when(value))
      .map(({ at }) => refuse(at, why)),
  );
}

function refuse(field: string, why: string): Cause {
  return forbidden(field, `not supported by this server: ${why}`);
}

function isSet(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value);
}

function valuesAt(value: unknown, steps: string[], at: string): { value: unknown; at: string }[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [{ value, at }];
  if (!isJsonObject(value)) return [];
  const isList = step.endsWith('[*]');
  const name = isList ? step.slice(0, -3) : step;
  const member = value[name];
  if (!isList) return valuesAt(member, rest, `${at}.${name}`);
  return Array.isArray(member) ? member.flatMap((item, i) => valuesAt(item, rest, `${at}.${name}[${i}]`)) : [];
}
