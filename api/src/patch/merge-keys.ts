/**
 * How lists merge under a strategic merge patch: the patchStrategy and patchMergeKey tags of Kubernetes' Go types (core/v1/types.go,
 * meta/v1/types.go). A list that is not here is replaced as a whole, as are all lists of types that are not here.
 */

export interface ListStrategy {
  /** The member that tells elements apart; absent for lists of plain values. */
  mergeKey?: string;
  /** Elements are unions: clients say with $retainKeys which members stay. */
  retainKeys?: boolean;
}

const by = (mergeKey: string): ListStrategy => ({ mergeKey });
const unionsBy = (mergeKey: string): ListStrategy => ({ mergeKey, retainKeys: true });
const values: ListStrategy = {};

const container = {
  env: by('name'),
  ports: by('containerPort'),
  volumeMounts: by('mountPath'),
  volumeDevices: by('devicePath'),
};

const strategies: Record<string, Record<string, ListStrategy>> = {
  'meta/v1.ObjectMeta': { ownerReferences: by('uid'), finalizers: values },
  'core/v1.PodSpec': {
    volumes: unionsBy('name'),
    initContainers: by('name'),
    containers: by('name'),
    ephemeralContainers: by('name'),
    imagePullSecrets: by('name'),
    hostAliases: by('ip'),
    topologySpreadConstraints: by('topologyKey'),
    schedulingGates: by('name'),
    resourceClaims: unionsBy('name'),
  },
  'core/v1.Container': container,
  'core/v1.EphemeralContainer': container,
  'core/v1.PodStatus': {
    conditions: by('type'),
    podIPs: by('ip'),
    hostIPs: by('ip'),
    resourceClaimStatuses: unionsBy('name'),
  },
  'core/v1.ContainerStatus': { volumeMounts: by('mountPath'), allocatedResourcesStatus: by('name') },
  'core/v1.NodeSpec': { podCIDRs: values },
  'core/v1.NodeStatus': { conditions: by('type'), addresses: by('type') },
  'core/v1.NamespaceStatus': { conditions: by('type') },
  'core/v1.ServiceAccount': { secrets: by('name') },
  'core/v1.ServiceSpec': { ports: by('port') },
  'core/v1.ServiceStatus': { conditions: by('type') },
};

/** undefined: the list is replaced as a whole. */
export function listStrategy(typeName: string, field: string): ListStrategy | undefined {
  const fields = strategies[typeName];
  return fields && Object.hasOwn(fields, field) ? fields[field] : undefined;
}
