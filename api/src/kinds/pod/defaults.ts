/** Defaults of a Pod, as kube-apiserver's pkg/apis/core/v1/defaults.go and conversion.go have them. */
import type { Container, Pod, PodSpec, PodStatus, Probe, Volume } from 'kubernetes-types/core/v1.js';
import { defaultPullPolicy } from './image-tag.ts';
import { type AnyContainer, containersOf } from './pod-types.ts';

/** In place; idempotent. The structure is right and normalized. */
export function applyPodDefaults(pod: Pod): void {
  applyPodSpecDefaults(pod);
  pod.spec!.enableServiceLinks ??= true;
  for (const { container } of containersOf(pod, ['initContainers', 'containers'])) {
    requestsFromLimits(container as Container);
  }
  Object.assign(pod, { status: alignAddresses(pod.status ?? {}) });
}

/** The part that templates get too; what is left is decided when a Pod is made of them. */
export function applyPodSpecDefaults(pod: { spec?: PodSpec }): void {
  pod.spec ??= { containers: [] };
  const { spec } = pod;
  spec.containers ??= [];
  applySpecDefaults(spec);
  for (const { container } of containersOf(pod)) applyContainerDefaults(container);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
}

function applySpecDefaults(spec: PodSpec): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  // serviceAccount is the old name of serviceAccountName; both are always shown, and the new one wins.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) Object.assign(spec, { serviceAccountName: account, serviceAccount: account });
  for (const constraint of spec.topologySpreadConstraints ?? []) {
    constraint.whenUnsatisfiable ||= 'DoNotSchedule';
  }
}

function applyContainerDefaults(container: AnyContainer): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? '');
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ||= 'TCP';
  for (const variable of container.env ?? []) {
    const source = variable.valueFrom;
    if (source?.fieldRef) source.fieldRef.apiVersion ||= 'v1';
    if (source?.resourceFieldRef) source.resourceFieldRef.divisor ||= '0';
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) applyProbeDefaults(probe);
  }
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop]) {
    if (handler?.httpGet) applyHttpDefaults(handler.httpGet);
  }
}

function applyProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) applyHttpDefaults(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function applyHttpDefaults(action: NonNullable<Probe['httpGet']>): void {
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

function requestsFromLimits(container: Container): void {
  const { limits } = container.resources ?? {};
  if (limits) container.resources!.requests = { ...limits, ...container.resources!.requests };
}

const fileMode = 0o644;

function applyVolumeDefaults(volume: Volume): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {};
  const { secret, configMap, downwardAPI, projected } = volume;
  for (const source of [secret, configMap, downwardAPI, projected]) if (source) source.defaultMode ??= fileMode;
  const projections = projected?.sources ?? [];
  for (const items of [downwardAPI?.items, ...projections.map((source) => source.downwardAPI?.items)]) {
    for (const item of items ?? []) {
      if (item.fieldRef) item.fieldRef.apiVersion ||= 'v1';
      if (item.resourceFieldRef) item.resourceFieldRef.divisor ||= '0';
    }
  }
  for (const { serviceAccountToken: token } of projections) if (token) token.expirationSeconds ??= 3600;
  if (volume.hostPath) volume.hostPath.type ??= '';
}

/** podIP is the first of podIPs, whichever of the two was written. */
function alignAddresses(status: PodStatus): PodStatus {
  if (!status.podIPs?.length && status.podIP) status.podIPs = [{ ip: status.podIP }];
  const first = status.podIPs?.[0]?.ip;
  if (first) status.podIP = first;
  return status;
}
