/** Which of Kubernetes' conformance tests are run against the API alone, and why the others are not. First match counts. */

export interface Exclusion {
  pattern: RegExp;
  reason: string;
}

/** What this build does not serve, or what asks for more than an API with controllers and a node without machines. */
export const exclusions: Exclusion[] = [
  { pattern: /[Ww]ebhook|CustomResourceFieldSelectors/, reason: 'admission and conversion webhooks are not served' },
  { pattern: /ValidatingAdmissionPolicy/, reason: 'validating admission policies are not served' },
  { pattern: /Aggregator/, reason: 'aggregated API servers are not served' },
  { pattern: /ServiceCIDR|IPAddress/, reason: "ServiceCIDR and IPAddress are not served: the range is the instance's" },
  { pattern: /priority and fairness|FlowSchema/, reason: 'flow control objects are not served' },
  {
    pattern:
      /ReplicationController|replication controller|created by rc|\brc\b|both valid owner and owner that's waiting/,
    reason: 'ReplicationController is not served',
  },
  { pattern: /Daemon ?[Ss]et/, reason: 'DaemonSet is not served' },
  { pattern: /\[sig-cli\]/, reason: 'tried with kubectl 1.27 to 1.33 by tests of our own; needs machines and images' },
  { pattern: /\[sig-(node|storage|scheduling)\]/, reason: 'needs machines, and images made for it' },
  { pattern: /StatefulSet|\bJob\b|CronJob/, reason: 'counts on what its Pods do: needs machines' },
  { pattern: /Deployment should not disrupt|proportional scaling|serve a basic image/, reason: 'needs machines' },
  { pattern: /ServiceAccounts should mount|projected service account token|OIDC/, reason: 'needs machines' },
  {
    pattern:
      /\[sig-network\](?!.*(EndpointSlice.*(should have|should support|create and delete)|API operations|Endpoints lifecycle|secure master|ExternalName|status|EndpointSliceMirroring|delete a collection of services|Service endpoint))/,
    reason: 'Services carry no traffic yet',
  },
  { pattern: /at least two untainted nodes/, reason: 'one machine is one node' },
  { pattern: /\[sig-network\] DNS/, reason: 'asks from within Pods: needs machines' },
  { pattern: /compacted away/, reason: 'waits for the store to forget, longer than a run may take' },
  {
    pattern:
      /\[sig-apps\].*(serve a basic image|guestbook|should use the image|scale subresource.*image|tolerations|private image)/,
    reason: 'needs machines',
  },
];

/** The reason why a test is not run; undefined for those that are. */
export function excluded(name: string): string | undefined {
  return exclusions.find(({ pattern }) => pattern.test(name))?.reason;
}
