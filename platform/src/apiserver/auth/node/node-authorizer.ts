/**
 * What a node may do: read itself, its own Pods and what they refer to, and write what a kubelet writes (plugin/pkg/auth/authorizer/node).
 * It owns whose objects a node may read; that a node writes none but its own is the admission plugin NodeRestriction.
 */
import { parseFieldSelector } from '@sampan/api/selectors/field-selector.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { type Authorizer, permits, type ResourceAttributes, type Rules } from '../authorizer.ts';
import { NodeGraph } from './node-graph.ts';
import { nodeIdentity } from './node-identity.ts';

/** Rules that need no look at objects, and as a whole the role system:node (bootstrappolicy NodeRules). */
export const nodeRules: Rules = {
  resourceRules: [
    { verbs: ['get', 'list', 'watch', 'create', 'delete'], apiGroups: [''], resources: ['pods'] },
    { verbs: ['update', 'patch'], apiGroups: [''], resources: ['pods/status'] },
    { verbs: ['create'], apiGroups: [''], resources: ['pods/eviction', 'serviceaccounts/token'] },
    { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['configmaps', 'secrets'] },
    { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['services'] },
    { verbs: ['create', 'get', 'list', 'watch', 'update', 'patch'], apiGroups: [''], resources: ['nodes'] },
    { verbs: ['update', 'patch'], apiGroups: [''], resources: ['nodes/status'] },
    { verbs: ['create', 'update', 'patch'], apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
    {
      verbs: ['create', 'get', 'update', 'patch', 'delete'],
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
    },
    {
      verbs: ['create', 'get', 'update', 'patch', 'delete'],
      apiGroups: ['storage.k8s.io'],
      resources: ['csinodes'],
    },
    { verbs: ['get', 'list', 'watch'], apiGroups: ['node.k8s.io'], resources: ['runtimeclasses'] },
    { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['subjectaccessreviews', 'localsubjectaccessreviews'],
    },
    {
      verbs: ['create', 'get', 'list', 'watch'],
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests'],
    },
  ],
  nonResourceRules: [],
};

/** Where a node's heartbeats are. */
export const leaseNamespace = 'kube-node-lease';

type Answer = { allowed: boolean; reason?: string };

const yes: Answer = { allowed: true };
const no = (reason: string): Answer => ({ allowed: false, reason });

export function nodeAuthorizer(cache: WatchCache): Authorizer {
  const graph = new NodeGraph(cache);
  const none = { resourceRules: [], nonResourceRules: [] };
  return {
    async authorize(attributes) {
      const node = nodeIdentity(attributes.user);
      if (!node || attributes.path !== undefined) return { allowed: false };
      const { nodeName } = node;
      if (!nodeName) return no(`unknown node for user ${JSON.stringify(attributes.user.name)}`);
      if (!permits(nodeRules, attributes)) return { allowed: false };
      return narrow(graph, nodeName, attributes as ResourceAttributes);
    },
    async rulesFor(user) {
      return nodeIdentity(user)?.nodeName ? nodeRules : none;
    },
  };
}

const reads = ['get', 'list', 'watch'];
const referred: Record<string, 'ConfigMap' | 'Secret'> = { configmaps: 'ConfigMap', secrets: 'Secret' };

/** Of what `nodeRules` allow, whether it is the node's own. */
function narrow(graph: NodeGraph, nodeName: string, asked: ResourceAttributes): Answer {
  const { group, resource, verb, name, namespace, subresource } = asked;
  if (group === 'coordination.k8s.io') return ownLease(nodeName, asked);
  if (resource === 'csinodes') return ownCsiNode(nodeName, asked);
  if (group !== '') return yes;
  if (resource === 'serviceaccounts') {
    return graph.refers(nodeName, 'ServiceAccount', namespace, name) ? yes : unrelated(nodeName);
  }
  if (subresource || !reads.includes(verb)) return yes;
  const kind = referred[resource];
  if (kind && !name) return no('No Object name found');
  if (kind) return graph.refers(nodeName, kind, namespace, name) ? yes : unrelated(nodeName);
  if (resource === 'pods') return ownPods(graph, nodeName, asked);
  if (resource !== 'nodes' || name === nodeName) return yes;
  const other = name ? JSON.stringify(name) : 'all nodes';
  return no(`node ${JSON.stringify(nodeName)} cannot read ${other}, only its own Node object`);
}

/** A list or watch has to ask for the node's Pods alone. */
function ownPods(graph: NodeGraph, nodeName: string, { name, namespace, fieldSelector }: ResourceAttributes): Answer {
  const terms = fieldSelector ? parseFieldSelector(fieldSelector) : [];
  const own = terms.some(
    ({ field, operator, value }) => field === 'spec.nodeName' && operator === '=' && value === nodeName,
  );
  if (own) return yes;
  if (!name) return no('can only list/watch pods with spec.nodeName field selector');
  return graph.hasPod(nodeName, namespace, name) ? yes : unrelated(nodeName);
}

/** A new one has no name here yet: NodeRestriction looks at it. */
function ownLease(nodeName: string, { verb, name, namespace }: ResourceAttributes): Answer {
  if (namespace !== leaseNamespace) {
    return no(`can only access leases in the "${leaseNamespace}" system namespace for node heartbeats`);
  }
  if (verb === 'create' || name === nodeName) return yes;
  return no('can only access node lease with the same name as the requesting node');
}

function ownCsiNode(nodeName: string, { verb, name }: ResourceAttributes): Answer {
  if (verb === 'create' || name === nodeName) return yes;
  return no('can only access CSINode with the same name as the requesting node');
}

function unrelated(nodeName: string): Answer {
  return no(`no relationship found between node '${nodeName}' and this object`);
}
