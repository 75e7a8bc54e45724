/**
 * What the platform's own parts may do: the scheduler, the node, and each controller as the service account of its name
 * (bootstrappolicy/controller_policy.go). A part that is not named here has no role.
 */
import type { PolicyRule } from 'kubernetes-types/rbac/v1.js';
import { authenticated, nodesGroup, serviceAccountUser, systemUser, type UserInfo } from '../user.ts';
import {
  account,
  type BootstrapBinding,
  type BootstrapRole,
  binding,
  clusterRole,
  group,
  reading,
  rule,
  user,
} from './policy-shapes.ts';

const events = rule('create patch update', 'core events.k8s.io', 'events');
const leases = rule('create get list watch update patch', 'coordination.k8s.io', 'leases');
const csr = 'certificates.k8s.io';

const podKeeping = rule('get list watch create delete patch update', 'core', 'pods');
const ownStatus = (group: string, resource: string) => [
  rule(`${reading} update patch`, group, resource),
  rule('update patch', group, `${resource}/status ${resource}/finalizers`),
];

/** By the name of the service account in kube-system. Each may write Events besides. */
const controllers: Record<string, PolicyRule[]> = {
  'namespace-controller': [
    rule('get list watch delete deletecollection', '*', '*'),
    rule('update patch', 'core', 'namespaces/finalize namespaces/status'),
  ],
  'service-account-controller': [
    rule(reading, 'core', 'namespaces'),
    rule(`${reading} create update`, 'core', 'configmaps serviceaccounts'),
  ],
  'generic-garbage-collector': [rule('get list watch patch update delete', '*', '*')],
  'clusterrole-aggregation-controller': [
    rule('escalate get list watch patch update', 'rbac.authorization.k8s.io', 'clusterroles'),
  ],
  'resourcequota-controller': [rule(reading, '*', '*'), rule('update', 'core', 'resourcequotas/status')],
  'certificate-controller': [
    rule(`${reading} delete`, csr, 'certificatesigningrequests'),
    rule('update', csr, 'certificatesigningrequests/status certificatesigningrequests/approval'),
    rule('approve sign', csr, 'signers'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  ],
  'deployment-controller': [
    ...ownStatus('apps', 'deployments'),
    rule(`${reading} create update patch delete`, 'apps', 'replicasets'),
    rule(`${reading} update patch`, 'core', 'pods'),
  ],
  'replicaset-controller': [...ownStatus('apps', 'replicasets'), podKeeping],
  'statefulset-controller': [
    ...ownStatus('apps', 'statefulsets'),
    podKeeping,
    rule(`${reading} create update patch delete`, 'apps', 'controllerrevisions'),
    rule(`${reading} create update delete`, 'core', 'persistentvolumeclaims'),
  ],
  'job-controller': [...ownStatus('batch', 'jobs'), rule('delete', 'batch', 'jobs'), podKeeping],
  'cronjob-controller': [
    ...ownStatus('batch', 'cronjobs'),
    rule(`${reading} create update patch delete`, 'batch', 'jobs'),
    rule('list delete', 'core', 'pods'),
  ],
  'disruption-controller': [
    ...ownStatus('policy', 'poddisruptionbudgets'),
    rule(reading, 'core', 'pods'),
    rule(reading, 'apps', 'deployments replicasets statefulsets'),
    rule('patch update', 'core', 'pods/status'),
    rule('get', '*', '*/scale'),
    rule(reading, 'apiextensions.k8s.io', 'customresourcedefinitions'),
  ],
  'horizontal-pod-autoscaler': [
    ...ownStatus('autoscaling', 'horizontalpodautoscalers'),
    rule('get update', '*', '*/scale'),
    rule(reading, 'core', 'pods'),
    rule('get list', 'metrics.k8s.io', 'pods'),
    rule(reading, 'apiextensions.k8s.io', 'customresourcedefinitions'),
  ],
  'endpointslice-controller': [
    rule(`${reading} update`, 'core', 'services'),
    rule(reading, 'core', 'nodes pods'),
    rule('update', 'core', 'services/finalizers'),
    rule(`${reading} create update delete`, 'core', 'endpoints'),
    rule(`${reading} create update delete`, 'discovery.k8s.io', 'endpointslices'),
  ],
  'kubernetes-service-controller': [
    rule(`${reading} create update delete`, 'core', 'endpoints services'),
    rule(`${reading} create update delete`, 'discovery.k8s.io', 'endpointslices'),
  ],
  'persistent-volume-binder': [
    rule(`${reading} update`, 'core', 'persistentvolumeclaims persistentvolumes'),
    rule('update patch', 'core', 'persistentvolumeclaims/status persistentvolumes/status'),
    rule(reading, 'storage.k8s.io', 'storageclasses'),
    rule(reading, 'core', 'pods nodes'),
  ],
  'node-controller': [
    rule(`${reading} update patch delete`, 'core', 'nodes'),
    rule('update patch', 'core', 'nodes/status pods/status'),
    rule(`${reading} delete`, 'core', 'pods'),
    rule(reading, 'coordination.k8s.io', 'leases'),
  ],
};

/** As whom the API server comes to a kubelet. */
export const kubeletClientUser = 'kube-apiserver-kubelet-client';

/** What the API server may do at a kubelet, which asks for it (bootstrappolicy: system:kubelet-api-admin). */
const kubeletApiAdmin = [
  rule(`${reading} proxy`, 'core', 'nodes'),
  rule('*', 'core', 'nodes/proxy nodes/metrics nodes/stats nodes/log'),
];

const others: { name: string; rules: PolicyRule[] }[] = [
  // The one that lists and watches for all controllers, and is elected where there are several servers.
  { name: 'system:kube-controller-manager', rules: [events, leases, rule(reading, '*', '*')] },
  {
    name: 'system:kube-scheduler',
    rules: [
      events,
      leases,
      rule(`${reading} delete`, 'core', 'pods'),
      rule('create', 'core', 'bindings pods/binding'),
      rule('patch update', 'core', 'pods/status'),
      rule(reading, 'core', 'nodes namespaces persistentvolumeclaims persistentvolumes services'),
      rule(reading, 'apps', 'replicasets statefulsets'),
      rule('create', 'core', 'pods/eviction'),
      rule(reading, 'policy', 'poddisruptionbudgets'),
      rule(reading, 'node.k8s.io scheduling.k8s.io storage.k8s.io', '*'),
    ],
  },
];

/** What a certificate request must be allowed for the node approver to sign it, and signers for who approves by hand. */
function certificateRoles(): BootstrapRole[] {
  const prefix = 'system:certificates.k8s.io:certificatesigningrequests:';
  return [
    clusterRole(`${prefix}nodeclient`, [rule('create', csr, 'certificatesigningrequests/nodeclient')]),
    clusterRole(`${prefix}selfnodeclient`, [rule('create', csr, 'certificatesigningrequests/selfnodeclient')]),
    clusterRole('system:node-bootstrapper', [rule(`create ${reading}`, csr, 'certificatesigningrequests')]),
    clusterRole('system:certificates.k8s.io:kube-apiserver-client-approver', [
      { ...rule('approve', csr, 'signers'), resourceNames: ['kubernetes.io/kube-apiserver-client'] },
    ]),
    clusterRole('system:certificates.k8s.io:kube-apiserver-client-kubelet-approver', [
      { ...rule('approve', csr, 'signers'), resourceNames: ['kubernetes.io/kube-apiserver-client-kubelet'] },
    ]),
  ];
}

export function componentRoles(nodeRules: PolicyRule[]): BootstrapRole[] {
  return [
    clusterRole('system:node', nodeRules),
    clusterRole('system:kubelet-api-admin', kubeletApiAdmin),
    ...others.map(({ name, rules }) => clusterRole(name, rules)),
    ...Object.entries(controllers).map(([name, rules]) => clusterRole(`system:controller:${name}`, [...rules, events])),
    ...certificateRoles(),
  ];
}

export function componentBindings(): BootstrapBinding[] {
  return [
    // Kubernetes binds it to nobody either: nodes have the node authorizer.
    binding('system:node', []),
    binding('system:kubelet-api-admin', [user(kubeletClientUser)]),
    // A node may renew its own certificate.
    binding('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [group(nodesGroup)]),
    ...others.map(({ name }) => binding(name, [user(name)])),
    ...Object.keys(controllers).map((name) => ({
      ...binding(`system:controller:${name}`, [account(name)]),
    })),
  ];
}

/**
 * Whom a part of the platform is to its own API: the user of its name with no more rights than its role gives it. A part that has no role
 * here is still a master: it would come to nothing otherwise.
 */
export function componentUser(name: string): UserInfo {
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  if (account?.[1] === 'kube-system' && Object.hasOwn(controllers, account[2] as string)) {
    return serviceAccountUser('kube-system', account[2] as string, '');
  }
  if (name.startsWith('system:node:')) return { name, groups: [nodesGroup, authenticated] };
  return others.some((part) => part.name === name) ? { name, groups: [authenticated] } : systemUser(name);
}
