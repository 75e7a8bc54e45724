/**
 * What the platform's own parts may do: the scheduler, the node, and each controller as the service account of its name
 * (bootstrappolicy/controller_policy.go). A part that is not named here has no role.
 */
import type { PolicyRule } from 'kubernetes-types/rbac/v1.js';
import { nodesGroup } from '../user.ts';
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

/** By the name of the service account in kube-system. */
const controllers: Record<string, PolicyRule[]> = {
  'namespace-controller': [
    rule('get list watch delete deletecollection', '*', '*'),
    rule('update patch', 'core', 'namespaces/finalize namespaces/status'),
  ],
  'service-account-controller': [
    rule(reading, 'core', 'namespaces'),
    rule(`${reading} create update`, 'core', 'configmaps serviceaccounts'),
  ],
  'generic-garbage-collector': [rule('get list watch patch update delete', '*', '*'), events],
  'clusterrole-aggregation-controller': [
    rule('escalate get list watch patch update', 'rbac.authorization.k8s.io', 'clusterroles'),
  ],
  'resourcequota-controller': [
    rule('list watch get', '*', '*'),
    rule('update', 'core', 'resourcequotas/status'),
    events,
  ],
  'certificate-controller': [
    rule(reading, csr, 'certificatesigningrequests'),
    rule('update', csr, 'certificatesigningrequests/status certificatesigningrequests/approval'),
    rule('approve sign', csr, 'signers'),
    rule('delete', csr, 'certificatesigningrequests'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    events,
  ],
};

const others: { name: string; rules: PolicyRule[] }[] = [
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
    ...others.map(({ name, rules }) => clusterRole(name, rules)),
    ...Object.entries(controllers).map(([name, rules]) => clusterRole(`system:controller:${name}`, rules)),
    ...certificateRoles(),
  ];
}

export function componentBindings(): BootstrapBinding[] {
  return [
    // Kubernetes binds it to nobody either: nodes have the node authorizer.
    binding('system:node', []),
    // A node may renew its own certificate.
    binding('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [group(nodesGroup)]),
    ...others.map(({ name }) => binding(name, [user(name)])),
    ...Object.keys(controllers).map((name) => ({
      ...binding(`system:controller:${name}`, [account(name)]),
    })),
  ];
}

/** Whether the part named so (`system:kube-scheduler`, `system:serviceaccount:kube-system:<controller>`) has a role of its own here. */
export function hasRole(component: string): boolean {
  const prefix = 'system:serviceaccount:kube-system:';
  if (component.startsWith(prefix)) return Object.hasOwn(controllers, component.slice(prefix.length));
  return others.some(({ name }) => name === component);
}
