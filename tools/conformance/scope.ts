/** Which of Kubernetes' conformance tests are run, and where: against the API alone or on machines; and why the others are not. Pure. */

export type Place = 'api' | 'machines';

interface Exclusion {
  pattern: RegExp;
  reason: string;
}

/** What this build does not serve. First match counts. */
const exclusions: Exclusion[] = [
  { pattern: /[Ww]ebhook|CustomResourceFieldSelectors/, reason: 'admission and conversion webhooks are not served' },
  { pattern: /ValidatingAdmissionPolicy/, reason: 'validating admission policies are not served' },
  { pattern: /Aggregator/, reason: 'aggregated API servers are not served' },
  { pattern: /ServiceCIDR|IPAddress/, reason: "ServiceCIDR and IPAddress are not served: the range is the instance's" },
  { pattern: /priority and fairness|FlowSchema/, reason: 'flow control objects are not served' },
  {
    pattern:
      /ReplicationController|replication controller|created by rc|race condition when used for configmaps|\brc\b|both valid owner and owner that's waiting/,
    reason: 'ReplicationController is not served',
  },
  { pattern: /Daemon ?[Ss]et/, reason: 'DaemonSet is not served' },
  { pattern: /\[sig-cli\]/, reason: 'tried with kubectl 1.27 to 1.33 by tests of our own' },
  { pattern: /CSIInlineVolumes|CSINodes|CSIStorageCapacity|VolumeAttachment/, reason: 'CSI drivers are not served' },
  {
    pattern: /SchedulerPreemption \[Serial\] (?!PriorityClass)/,
    reason: 'priority orders who waits; nobody is preempted',
  },
  {
    pattern:
      /AggregatedDiscovery should support (raw )?aggregated discovery (interface|endpoint Accept headers) \[|within each APIGroup/,
    reason: 'asks for the groups admissionregistration.k8s.io and apiregistration.k8s.io, which are not served',
  },
  { pattern: /ControllerRevision \[Serial\]/, reason: 'is tried with a DaemonSet, which is not served' },
  {
    pattern:
      /\[sig-network\](?!.*(EndpointSlice.*(should have|should support|create and delete)|API operations|Endpoints lifecycle|secure master|status|intra-pod communication|configurable pod DNS|EndpointSliceMirroring|delete a collection of services|Service endpoint))/,
    reason: 'Services carry no traffic yet',
  },
  { pattern: /KubeletManagedEtcHosts/, reason: 'asks for a Pod on the network of the host: a machine has its own' },
  { pattern: /\[sig-network\] HostPort/, reason: 'asks from the network of the host: a machine has its own' },
  { pattern: /guestbook/, reason: 'Services carry no traffic yet' },
  { pattern: /at least two untainted nodes/, reason: 'one machine is one node' },
  { pattern: /compacted away/, reason: 'waits for the store to forget, longer than a run may take' },
];

/** What counts on what Pods do. First match counts; what none matches is tried against the API alone. */
const needMachines: RegExp[] = [
  /\[sig-apps\] (StatefulSet|Job|CronJob)/,
  /\[sig-apps\].*(serve a basic image|should use the image|should not disrupt|proportional scaling|private image)/,
  /ServiceAccounts should (mount|guarantee)|projected service account token|OIDC/,
  /\[sig-node\] (?!Lease|PodTemplates|Node Lifecycle|RuntimeClass should support|ConfigMap should (fail|run)|Secrets should (fail|patch))/,
  /\[sig-storage\] (?!.*CSI Conformance)(?!.*should be immutable)/,
  /\[sig-scheduling\] SchedulerPredicates/,
  /intra-pod communication|configurable pod DNS/,
];

/** The reason why a test is not run; undefined for those that are. */
export function excluded(name: string): string | undefined {
  return exclusions.find(({ pattern }) => pattern.test(name))?.reason;
}

export function placeOf(name: string): Place {
  return needMachines.some((pattern) => pattern.test(name)) ? 'machines' : 'api';
}
