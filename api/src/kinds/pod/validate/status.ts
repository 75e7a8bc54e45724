/** Changes of a Pod's status that no node that works would report. */
import type { ContainerStatus, Pod } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { duplicate, forbidden, invalid, invalidFor } from '../../../field-errors.ts';
import { dnsSubdomainProblems, ipProblems, isIpv6, qualifiedNameProblems } from '../../../names.ts';
import { validateImmutable } from '../../metadata.ts';
import { isSidecar } from '../pod-types.ts';

const phases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'];
const ownConditions = ['PodScheduled', 'Ready', 'Initialized'];

export function validateStatusUpdate(pod: Pod, old: Pod): Cause[] {
  const status = pod.status ?? {};
  const before = old.status ?? {};
  const causes = (status.conditions ?? []).flatMap(({ type }, i) =>
    ownConditions.includes(type) ? [] : invalidFor(`metadata.conditions[${i}].Type`, type, qualifiedNameProblems(type)),
  );
  const nominated = status.nominatedNodeName;
  if (nominated && nominated !== before.nominatedNodeName) {
    causes.push(...invalidFor('status.nominatedNodeName', nominated, dnsSubdomainProblems(nominated)));
  }
  if (status.phase && !phases.includes(status.phase)) {
    causes.push(invalid('status.phase', status.phase, `must be one of ${phases.join(', ')}`));
  }
  if (before.qosClass) causes.push(...validateImmutable(status.qosClass, before.qosClass, 'status.qosClass'));
  return [...causes, ...validateTransitions(pod, old), ...validateAddresses(pod)];
}

function validateTransitions(pod: Pod, old: Pod): Cause[] {
  const policy = old.spec?.restartPolicy ?? 'Always';
  const sidecars = (old.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const [now, before] = [pod.status ?? {}, old.status ?? {}];
  return [
    ...checkEnded(now.containerStatuses, before.containerStatuses, { field: 'containerStatuses', policy }),
    ...checkEnded(now.initContainerStatuses, before.initContainerStatuses, {
      field: 'initContainerStatuses',
      policy,
      sidecars,
    }),
    ...checkEnded(now.ephemeralContainerStatuses, before.ephemeralContainerStatuses, {
      field: 'ephemeralContainerStatuses',
      policy: 'Never',
    }),
  ];
}

/** What has ended and is not to be restarted stays ended. */
function checkEnded(
  now: ContainerStatus[] = [],
  before: ContainerStatus[] = [],
  rule: { field: string; policy: string; sidecars?: string[] },
): Cause[] {
  if (rule.policy === 'Always') return [];
  return before.flatMap(({ name, state }, i) => {
    if (!state?.terminated || rule.sidecars?.includes(name)) return [];
    if (rule.policy === 'OnFailure' && state.terminated.exitCode !== 0) return [];
    const status = now.find((one) => one.name === name);
    if (!status || status.state?.terminated) return [];
    return [forbidden(`status.${rule.field}[${i}].state`, 'may not be transitioned to non-terminated state')];
  });
}

function validateAddresses(pod: Pod): Cause[] {
  const { podIPs = [], hostIPs = [], hostIP } = pod.status ?? {};
  const causes = [...checkAddresses(podIPs, 'status.podIPs'), ...checkAddresses(hostIPs, 'status.hostIPs')];
  if (hostIPs[0] && hostIPs[0].ip !== hostIP) {
    causes.push(invalid('status.hostIPs[0].ip', hostIPs[0].ip ?? '', 'must be equal to `hostIP`'));
  }
  return causes;
}

function checkAddresses(addresses: { ip?: string }[], field: string): Cause[] {
  const seen = new Set<string>();
  const causes = addresses.flatMap((address, i) => {
    const { ip = '' } = address;
    const isRepeated = seen.has(ip);
    seen.add(ip);
    return [
      ...invalidFor(`${field}[${i}]`, ip, ipProblems(ip)),
      ...(isRepeated ? [duplicate(`${field}[${i}]`, address)] : []),
    ];
  });
  const ofVersion6 = addresses.filter(({ ip = '' }) => isIpv6(ip)).length;
  if (ofVersion6 > 1 || addresses.length - ofVersion6 > 1) {
    causes.push(invalid(field, addresses, 'may specify no more than one IP for each IP family'));
  }
  return causes;
}
