/** Every kind this API serves, in the order of discovery. */
import type { Kind } from '../kind.ts';
import { controllerRevisionKind } from './apps/controller-revision.ts';
import { deploymentKind } from './apps/deployment.ts';
import { replicaSetKind } from './apps/replica-set.ts';
import { statefulSetKind } from './apps/stateful-set.ts';
import { horizontalPodAutoscalerKind } from './autoscaling/horizontal-pod-autoscaler.ts';
import { horizontalPodAutoscalerV1Kind } from './autoscaling/horizontal-pod-autoscaler-v1.ts';
import { cronJobKind } from './batch/cron-job.ts';
import { jobKind } from './batch/job.ts';
import { certificateSigningRequestKind } from './certificate-signing-request.ts';
import { configMapKind } from './config-map.ts';
import { customResourceDefinitionKind } from './custom-resource-definition.ts';
import { endpointSliceKind } from './endpoints/endpoint-slice.ts';
import { endpointsKind } from './endpoints/endpoints.ts';
import { eventKind } from './event.ts';
import { eventV1Kind } from './event-v1.ts';
import { leaseKind } from './lease.ts';
import { limitRangeKind } from './limit-range.ts';
import { namespaceKind } from './namespace.ts';
import { ingressKind } from './networking/ingress.ts';
import { ingressClassKind } from './networking/ingress-class.ts';
import { networkPolicyKind } from './networking/network-policy.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod/pod.ts';
import { podTemplateKind } from './pod-template.ts';
import { podDisruptionBudgetKind } from './policy/pod-disruption-budget.ts';
import { priorityClassKind } from './priority-class.ts';
import { clusterRoleKind } from './rbac/cluster-role.ts';
import { clusterRoleBindingKind } from './rbac/cluster-role-binding.ts';
import { roleKind } from './rbac/role.ts';
import { roleBindingKind } from './rbac/role-binding.ts';
import { resourceQuotaKind } from './resource-quota.ts';
import { runtimeClassKind } from './runtime-class.ts';
import { secretKind } from './secret.ts';
import { serviceKind } from './service/service.ts';
import { serviceAccountKind } from './service-account.ts';
import { csiNodeKind } from './storage/csi-node.ts';
import { persistentVolumeKind } from './storage/persistent-volume.ts';
import { persistentVolumeClaimKind } from './storage/persistent-volume-claim.ts';
import { storageClassKind } from './storage/storage-class.ts';

export const allKinds: Kind[] = [
  configMapKind,
  eventKind,
  namespaceKind,
  nodeKind,
  podKind,
  secretKind,
  serviceAccountKind,
  leaseKind,
  runtimeClassKind,
  priorityClassKind,
  controllerRevisionKind,
  deploymentKind,
  replicaSetKind,
  statefulSetKind,
  roleKind,
  roleBindingKind,
  clusterRoleKind,
  clusterRoleBindingKind,
  serviceKind,
  endpointsKind,
  persistentVolumeKind,
  persistentVolumeClaimKind,
  endpointSliceKind,
  networkPolicyKind,
  ingressKind,
  ingressClassKind,
  storageClassKind,
  csiNodeKind,
  jobKind,
  cronJobKind,
  horizontalPodAutoscalerKind,
  horizontalPodAutoscalerV1Kind,
  podDisruptionBudgetKind,
  customResourceDefinitionKind,
  limitRangeKind,
  resourceQuotaKind,
  certificateSigningRequestKind,
  eventV1Kind,
  podTemplateKind,
];
