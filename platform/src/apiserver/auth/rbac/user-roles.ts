/** The ClusterRoles people and Pods are given (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go), and who has them from the start. */
import { authenticated, masters, unauthenticated } from '../user.ts';
import {
  aggregate,
  type BootstrapBinding,
  type BootstrapRole,
  binding,
  clusterRole,
  group,
  paths,
  reading,
  rule,
  writing,
} from './policy-shapes.ts';

export function userRoles(): BootstrapRole[] {
  return [
    clusterRole('cluster-admin', [rule('*', '*', '*'), paths('*', '*')]),
    aggregate('admin'),
    aggregate('edit', 'admin'),
    aggregate('view', 'edit'),
    adminRules(),
    editRules(),
    viewRules(),
    clusterRole('system:aggregated-metrics-reader', [rule(reading, 'metrics.k8s.io', 'nodes pods')], 'view'),
    clusterRole('system:basic-user', [
      rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ]),
    clusterRole('system:discovery', [
      paths('get', '/healthz /livez /readyz /version /version/ /api /api/* /apis /apis/* /openapi /openapi/*'),
    ]),
    clusterRole('system:public-info-viewer', [paths('get', '/healthz /livez /readyz /version /version/')]),
    clusterRole('system:service-account-issuer-discovery', [
      paths('get', '/.well-known/openid-configuration /openid/v1/jwks'),
    ]),
    clusterRole('system:monitoring', [
      paths('get', '/metrics /metrics/* /livez /livez/* /readyz /readyz/* /healthz /healthz/*'),
    ]),
    clusterRole('system:auth-delegator', [
      rule('create', 'authentication.k8s.io', 'tokenreviews'),
      rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    ]),
  ];
}

export function userBindings(): BootstrapBinding[] {
  return [
    binding('cluster-admin', [group(masters)]),
    binding('system:basic-user', [group(authenticated)]),
    binding('system:discovery', [group(authenticated)]),
    binding('system:public-info-viewer', [group(authenticated), group(unauthenticated)]),
    binding('system:service-account-issuer-discovery', [group('system:serviceaccounts')]),
    binding('system:monitoring', [group('system:monitoring')]),
  ];
}

function adminRules(): BootstrapRole {
  const rules = [
    rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
    rule(`${reading} ${writing}`, 'rbac.authorization.k8s.io', 'roles rolebindings'),
  ];
  return clusterRole('system:aggregate-to-admin', rules, 'admin');
}

function editRules(): BootstrapRole {
  const rules = [
    rule(reading, 'core', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
    rule('impersonate', 'core', 'serviceaccounts'),
    rule(writing, 'core', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
    rule('create', 'core', 'pods/eviction'),
    rule(writing, 'core', 'configmaps events persistentvolumeclaims secrets serviceaccounts services services/proxy'),
    rule('create', 'core', 'serviceaccounts/token'),
    rule(writing, 'apps', 'deployments deployments/rollback deployments/scale'),
    rule(writing, 'apps', 'daemonsets replicasets replicasets/scale statefulsets statefulsets/scale'),
    rule(writing, 'autoscaling', 'horizontalpodautoscalers'),
    rule(writing, 'batch', 'cronjobs jobs'),
    rule(writing, 'policy', 'poddisruptionbudgets'),
    rule(writing, 'networking.k8s.io', 'ingresses networkpolicies'),
    rule(`${reading} ${writing}`, 'coordination.k8s.io', 'leases'),
  ];
  return clusterRole('system:aggregate-to-edit', rules, 'edit');
}

function viewRules(): BootstrapRole {
  const rules = [
    rule(reading, 'core', 'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods'),
    rule(reading, 'core', 'serviceaccounts services services/status'),
    rule(reading, 'core', 'bindings events limitranges namespaces/status pods/log pods/status'),
    rule(reading, 'core', 'resourcequotas resourcequotas/status namespaces'),
    rule(reading, 'discovery.k8s.io', 'endpointslices'),
    rule(reading, 'apps', 'controllerrevisions daemonsets daemonsets/status'),
    rule(reading, 'apps', 'deployments deployments/scale deployments/status'),
    rule(reading, 'apps', 'replicasets replicasets/scale replicasets/status'),
    rule(reading, 'apps', 'statefulsets statefulsets/scale statefulsets/status'),
    rule(reading, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
    rule(reading, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
    rule(reading, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
    rule(reading, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
  ];
  return clusterRole('system:aggregate-to-view', rules, 'view');
}
