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
  'apiextensions.k8s.io/v1.CustomResourceColumnDefinition.priority',
  'core/v1.EventSeries.count',
  'events.k8s.io/v1.Event.deprecatedCount',
  'apps/v1.DeploymentSpec.minReadySeconds',
  'apps/v1.ReplicaSetSpec.minReadySeconds',
  'apps/v1.StatefulSetSpec.minReadySeconds',
  'apps/v1.StatefulSetOrdinals.start',
  'apps/v1.DeploymentStatus.observedGeneration',
  'apps/v1.DeploymentStatus.replicas',
  'apps/v1.DeploymentStatus.updatedReplicas',
  'apps/v1.DeploymentStatus.readyReplicas',
  'apps/v1.DeploymentStatus.availableReplicas',
  'apps/v1.DeploymentStatus.unavailableReplicas',
]);

const schema = 'apiextensions.k8s.io/v1.JSONSchemaProps';

/** The same for yes and no, where a no that nobody said would be shown to clients: the schemas of custom kinds. */
export const omittedWhenFalse: ReadonlySet<string> = new Set([
  'apiextensions.k8s.io/v1.CustomResourceDefinitionSpec.preserveUnknownFields',
  'apiextensions.k8s.io/v1.CustomResourceDefinitionVersion.deprecated',
  `${schema}.exclusiveMaximum`,
  `${schema}.exclusiveMinimum`,
  `${schema}.nullable`,
  `${schema}.uniqueItems`,
  `${schema}.x-kubernetes-embedded-resource`,
  `${schema}.x-kubernetes-int-or-string`,
]);
