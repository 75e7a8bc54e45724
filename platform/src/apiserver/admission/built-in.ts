/** The admission plugins every server has, in kube-apiserver's order. */
import type { AdmissionPlugin } from './admission.ts';
import { defaultStorageClass } from './default-storage-class.ts';
import { defaultTolerations } from './default-tolerations.ts';
import { limitRanger } from './limit-ranger.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { podPriority } from './pod-priority.ts';
import { podSecurity } from './pod-security/pod-security.ts';
import { runtimeClassAdmission } from './runtime-class.ts';
import { serviceAccountAdmission } from './service-account.ts';
import { type ServiceNetwork, serviceAddresses } from './service-addresses.ts';

export function builtInAdmission(services?: ServiceNetwork): AdmissionPlugin[] {
  return [
    namespaceLifecycle,
    limitRanger,
    serviceAccountAdmission,
    nodeRestriction,
    podSecurity,
    podPriority,
    defaultTolerations,
    defaultStorageClass,
    runtimeClassAdmission,
    serviceAddresses(services),
  ];
}
