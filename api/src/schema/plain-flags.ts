/**
 * Flags that are no pointers in Kubernetes' Go types: `false` is the same as nothing said, and Go leaves it out. For every other flag
 * `false` is something that was said (enableServiceLinks: false).
 */
export const plainFlags: ReadonlySet<string> = new Set([
  'core/v1.PodSpec.hostNetwork',
  'core/v1.PodSpec.hostPID',
  'core/v1.PodSpec.hostIPC',
  'core/v1.Container.stdin',
  'core/v1.Container.stdinOnce',
  'core/v1.Container.tty',
  'core/v1.EphemeralContainer.stdin',
  'core/v1.EphemeralContainer.stdinOnce',
  'core/v1.EphemeralContainer.tty',
  'core/v1.VolumeMount.readOnly',
  'core/v1.NFSVolumeSource.readOnly',
  'core/v1.PersistentVolumeClaimVolumeSource.readOnly',
  'core/v1.NodeSpec.unschedulable',
  'core/v1.ServiceSpec.publishNotReadyAddresses',
  'apps/v1.DeploymentSpec.paused',
  'scheduling.k8s.io/v1.PriorityClass.globalDefault',
]);
