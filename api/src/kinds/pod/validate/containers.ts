/** The three lists of containers: what they share, and what is particular to each. */
import type { Container, ContainerPort, EphemeralContainer, Pod } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import {
  checkEnum,
  duplicate,
  forbidden,
  invalid,
  invalidFor,
  notFound,
  notSupported,
  required,
} from '../../../field-errors.ts';
import { dnsLabelProblems, portNameProblems, portNumberProblems } from '../../../names.ts';
import { type AnyContainer, isSidecar } from '../pod-types.ts';
import { validateResources } from './container-resources.ts';
import { validateEnv, validateEnvFrom } from './env.ts';
import { validateHooksAndProbes } from './handlers.ts';
import { validateMounts } from './mounts.ts';
import { validateContainerSecurity } from './security.ts';

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const messagePolicies = ['FallbackToLogsOnError', 'File'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateContainers(pod: Pod): Cause[] {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const names = new Set<string>();
  return [
    ...(containers.length === 0 ? [required('spec.containers')] : []),
    ...doubledHostPorts(containers),
    ...containers.flatMap((container, i) => {
      const at = `spec.containers[${i}]`;
      return [
        ...validateCommon(container, pod, at),
        ...checkUnique(names, container, at),
        ...validateRegular(container, pod, at),
      ];
    }),
    ...initContainers.flatMap((container, i) => {
      const at = `spec.initContainers[${i}]`;
      return [
        ...validateCommon(container, pod, at),
        ...checkUnique(names, container, at),
        ...validateInit(container, pod, at),
      ];
    }),
    ...ephemeralContainers.flatMap((container, i) => {
      const at = `spec.ephemeralContainers[${i}]`;
      const targets = [...containers, ...initContainers].map(({ name }) => name);
      return [
        ...validateCommon(container, pod, at),
        ...checkUnique(names, container, at),
        ...validateEphemeral(container, targets, at),
      ];
    }),
  ];
}

function checkUnique(names: Set<string>, { name }: AnyContainer, field: string): Cause[] {
  const isTaken = names.has(name);
  if (name) names.add(name);
  return isTaken ? [duplicate(`${field}.name`, name)] : [];
}

function validateCommon(container: AnyContainer, pod: Pod, field: string): Cause[] {
  const { name, image = '' } = container;
  return [
    ...(name ? invalidFor(`${field}.name`, name, dnsLabelProblems(name)) : [required(`${field}.name`)]),
    ...(image ? [] : [required(`${field}.image`)]),
    ...(image === image.trim()
      ? []
      : [invalid(`${field}.image`, image, 'must not have leading or trailing whitespace')]),
    ...checkEnum(`${field}.terminationMessagePolicy`, container.terminationMessagePolicy, messagePolicies),
    ...validatePorts(container.ports, `${field}.ports`),
    ...validateEnv(container.env, `${field}.env`),
    ...validateEnvFrom(container.envFrom, `${field}.envFrom`),
    ...validateMounts(container, pod, `${field}.volumeMounts`),
    ...checkEnum(`${field}.imagePullPolicy`, container.imagePullPolicy, pullPolicies),
    ...validateResources(container.resources ?? {}, `${field}.resources`),
    ...validateContainerSecurity(container.securityContext, `${field}.securityContext`),
  ];
}

function validatePorts(ports: ContainerPort[] = [], field: string): Cause[] {
  const names = new Set<string>();
  return ports.flatMap((port, i) => {
    const at = `${field}[${i}]`;
    const causes: Cause[] = [];
    if (port.name) {
      const problems = portNameProblems(port.name);
      if (problems.length > 0) causes.push(...invalidFor(`${at}.name`, port.name, problems));
      else if (names.has(port.name)) causes.push(duplicate(`${at}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) causes.push(required(`${at}.containerPort`));
    else causes.push(...invalidFor(`${at}.containerPort`, port.containerPort, portNumberProblems(port.containerPort)));
    if (port.hostPort) causes.push(...invalidFor(`${at}.hostPort`, port.hostPort, portNumberProblems(port.hostPort)));
    return [...causes, ...checkEnum(`${at}.protocol`, port.protocol, protocols)];
  });
}

/** Two containers of a Pod cannot have one port of the host. */
function doubledHostPorts(containers: Container[]): Cause[] {
  const taken = new Set<string>();
  return containers.flatMap(({ ports = [] }, i) =>
    ports.flatMap(({ hostPort, hostIP = '', protocol = '' }, k) => {
      const text = `${protocol}/${hostIP}/${hostPort}`;
      if (!hostPort || !taken.has(text)) {
        taken.add(text);
        return [];
      }
      return [duplicate(`spec.containers[${i}].ports[${k}].hostPort`, text)];
    }),
  );
}

function graceOf(pod: Pod): number {
  return pod.spec?.terminationGracePeriodSeconds ?? 30;
}

function validateRegular(container: Container, pod: Pod, field: string): Cause[] {
  const causes = validateHooksAndProbes(container, field, graceOf(pod));
  if (container.restartPolicy !== undefined) {
    causes.push(forbidden(`${field}.restartPolicy`, 'may not be set for non-init containers'));
  }
  return causes;
}

const lastingOnly = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** Only sidecars last long enough to be probed and stopped. */
function validateInit(container: Container, pod: Pod, field: string): Cause[] {
  if (isSidecar(container)) return validateHooksAndProbes(container, field, graceOf(pod));
  const causes = lastingOnly
    .filter((name) => container[name] !== undefined)
    .map((name) => forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'));
  const policy = container.restartPolicy;
  return policy === undefined ? causes : [notSupported(`${field}.restartPolicy`, policy, ['Always']), ...causes];
}

const notForEphemeral = ['ports', 'resources', ...lastingOnly] as const;

/** A visitor for debugging: it offers nothing to others and is not counted. */
function validateEphemeral(container: EphemeralContainer, targets: string[], field: string): Cause[] {
  const message = 'cannot be set for an Ephemeral Container';
  const causes = notForEphemeral
    .filter((name) => Object.keys(container[name] ?? {}).length > 0)
    .map((name) => forbidden(`${field}.${name}`, message));
  const target = container.targetContainerName;
  if (target && !targets.includes(target)) causes.push(notFound(`${field}.targetContainerName`, target));
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    for (const name of ['subPath', 'subPathExpr'] as const) {
      if (mount[name]) causes.push(forbidden(`${field}.volumeMounts[${i}].${name}`, message));
    }
  }
  return causes;
}
