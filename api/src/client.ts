/**
 * The client interface of the Kubernetes API: the only way parts of Sampan say what should be.
 * Two implementations: in process (apiserver/in-process.ts) and over HTTPS (https-client.ts).
 * Objects are plain Kubernetes JSON; `T` is one of kubernetes-types' interfaces.
 */

/** Group, version and plural name of a kind: what stands in a URL. `group` is '' for the core group. */
export interface ResourceRef {
  group: string;
  version: string;
  resource: string;
  namespaced: boolean;
}

/** What every stored object has. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: {
    name?: string;
    generateName?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: unknown;
    deletionTimestamp?: unknown;
    deletionGracePeriodSeconds?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: {
      apiVersion: string;
      kind: string;
      name: string;
      uid: string;
      controller?: boolean;
      blockOwnerDeletion?: boolean;
    }[];
    managedFields?: unknown[];
  };
}

export interface ListOptions {
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
}

export interface ListResult<T> {
  items: T[];
  /** Start a watch here to see every later change exactly once. */
  resourceVersion: string;
  continue?: string;
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } };

export type PatchType =
  | 'application/json-patch+json'
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
}

/**
 * Every method throws SampanError with the reason the API server answered (NotFound, Conflict, Invalid, ...).
 * `subresource` is 'status', 'scale', 'binding', 'eviction', 'ephemeralcontainers', ...
 */
export interface KubeClient {
  /** `subresource`: 'scale' answers an autoscaling/v1 Scale. */
  get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string, subresource?: 'scale'): Promise<T>;
  list<T extends KubeObject>(ref: ResourceRef, options?: ListOptions): Promise<ListResult<T>>;
  /**
   * Events after `resourceVersion`, in order. Ends when `signal` aborts; throws Expired when the version is
   * compacted away: list again. Bookmarks may come at any time.
   */
  watch<T extends KubeObject>(
    ref: ResourceRef,
    options: ListOptions & { resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(
    ref: ResourceRef,
    object: T,
    options?: { namespace?: string; name?: string; subresource?: string },
  ): Promise<T>;
  /** Throws Conflict when metadata.resourceVersion is given and no longer current. */
  update<T extends KubeObject>(ref: ResourceRef, object: T, options?: { subresource?: string }): Promise<T>;
  patch<T extends KubeObject>(
    ref: ResourceRef,
    name: string,
    patch: unknown,
    options: { namespace?: string; type: PatchType; subresource?: string; fieldManager?: string; force?: boolean },
  ): Promise<T>;
  /** Returns the object as it stood when deletion was accepted (or a Status). */
  delete(ref: ResourceRef, name: string, options?: DeleteOptions & { namespace?: string }): Promise<KubeObject>;
}

/** References of the kinds that parts of Sampan use. */
export const resources = {
  pods: { group: '', version: 'v1', resource: 'pods', namespaced: true },
  namespaces: { group: '', version: 'v1', resource: 'namespaces', namespaced: false },
  nodes: { group: '', version: 'v1', resource: 'nodes', namespaced: false },
  configmaps: { group: '', version: 'v1', resource: 'configmaps', namespaced: true },
  secrets: { group: '', version: 'v1', resource: 'secrets', namespaced: true },
  events: { group: '', version: 'v1', resource: 'events', namespaced: true },
  serviceaccounts: { group: '', version: 'v1', resource: 'serviceaccounts', namespaced: true },
  customresourcedefinitions: {
    group: 'apiextensions.k8s.io',
    version: 'v1',
    resource: 'customresourcedefinitions',
    namespaced: false,
  },
  leases: { group: 'coordination.k8s.io', version: 'v1', resource: 'leases', namespaced: true },
  services: { group: '', version: 'v1', resource: 'services', namespaced: true },
  endpoints: { group: '', version: 'v1', resource: 'endpoints', namespaced: true },
  endpointslices: { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices', namespaced: true },
  persistentvolumes: { group: '', version: 'v1', resource: 'persistentvolumes', namespaced: false },
  persistentvolumeclaims: { group: '', version: 'v1', resource: 'persistentvolumeclaims', namespaced: true },
  storageclasses: { group: 'storage.k8s.io', version: 'v1', resource: 'storageclasses', namespaced: false },
  csinodes: { group: 'storage.k8s.io', version: 'v1', resource: 'csinodes', namespaced: false },
  deployments: { group: 'apps', version: 'v1', resource: 'deployments', namespaced: true },
  replicasets: { group: 'apps', version: 'v1', resource: 'replicasets', namespaced: true },
  statefulsets: { group: 'apps', version: 'v1', resource: 'statefulsets', namespaced: true },
  controllerrevisions: { group: 'apps', version: 'v1', resource: 'controllerrevisions', namespaced: true },
  jobs: { group: 'batch', version: 'v1', resource: 'jobs', namespaced: true },
  cronjobs: { group: 'batch', version: 'v1', resource: 'cronjobs', namespaced: true },
  horizontalpodautoscalers: {
    group: 'autoscaling',
    version: 'v2',
    resource: 'horizontalpodautoscalers',
    namespaced: true,
  },
  poddisruptionbudgets: { group: 'policy', version: 'v1', resource: 'poddisruptionbudgets', namespaced: true },
  limitranges: { group: '', version: 'v1', resource: 'limitranges', namespaced: true },
  resourcequotas: { group: '', version: 'v1', resource: 'resourcequotas', namespaced: true },
  certificatesigningrequests: {
    group: 'certificates.k8s.io',
    version: 'v1',
    resource: 'certificatesigningrequests',
    namespaced: false,
  },
} as const satisfies Record<string, ResourceRef>;
