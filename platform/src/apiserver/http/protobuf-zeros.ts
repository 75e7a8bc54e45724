/**
 * Numbers that are no pointers in Kubernetes' Go types: protobuf carries their 0 even when nobody set them, and JSON leaves it out.
 * For every other number 0 is something that was said (gracePeriodSeconds: 0).
 */
export const nonPointerNumbers: ReadonlySet<string> = new Set([
  'meta/v1.ObjectMeta.generation',
  'meta/v1.ListMeta.remainingItemCount',
  'core/v1.ContainerPort.hostPort',
  'core/v1.ContainerPort.containerPort',
  'core/v1.Probe.initialDelaySeconds',
  'core/v1.Probe.timeoutSeconds',
  'core/v1.Probe.periodSeconds',
  'core/v1.Probe.successThreshold',
  'core/v1.Probe.failureThreshold',
  'core/v1.GRPCAction.port',
  'core/v1.ServicePort.port',
  'core/v1.ServicePort.nodePort',
  'core/v1.ServiceSpec.healthCheckNodePort',
  'core/v1.PreferredSchedulingTerm.weight',
  'core/v1.WeightedPodAffinityTerm.weight',
  'core/v1.TopologySpreadConstraint.maxSkew',
  'core/v1.PodStatus.observedGeneration',
  'core/v1.PodCondition.observedGeneration',
  'core/v1.Event.count',
  'core/v1.EventSeries.count',
  'events.k8s.io/v1.Event.deprecatedCount',
]);
