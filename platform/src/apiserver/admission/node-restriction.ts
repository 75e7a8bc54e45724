/**
 * Plugin NodeRestriction: a node writes itself, the status of its own Pods, and its lease, and nothing else (plugin/pkg/admission/noderestriction).
 * The authorizer of nodes lets the verbs through; whose object it is, is asked here.
 */
import { isDeepStrictEqual } from 'node:util';
import { referencesOf } from '@sampan/api/kinds/pod/references.ts';
import type { Node, Pod } from 'kubernetes-types/core/v1.js';
import { leaseNamespace } from '../auth/node/node-authorizer.ts';
import { nodeIdentity } from '../auth/node/node-identity.ts';
import { forbidden } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { forbiddenLabels } from './node-labels.ts';

export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  validate(request) {
    const node = nodeIdentity(request.user);
    if (!node) return;
    const why = node.nodeName
      ? wrongIn(request, node.nodeName)
      : `could not determine node from user ${JSON.stringify(request.user.name)}`;
    if (why) throw forbidden(request.kind.ref, request.name, why);
  },
};

/** Why the node may not do that; undefined: it may. */
function wrongIn(request: AdmissionRequest, nodeName: string): string | undefined {
  const { group, resource } = request.kind.ref;
  if (group === '' && resource === 'pods') return wrongWithPod(request, nodeName);
  if (group === '' && resource === 'nodes') return wrongWithNode(request, nodeName);
  if (group === 'storage.k8s.io' && resource === 'csinodes')
    return request.name === nodeName ? undefined : 'can only access CSINode with the same name as the requesting node';
  if (group !== 'coordination.k8s.io' || resource !== 'leases') return undefined;
  if (request.namespace !== leaseNamespace) {
    return `can only access leases in the "${leaseNamespace}" system namespace for node heartbeats`;
  }
  return request.name === nodeName ? undefined : 'can only access node lease with the same name as the requesting node';
}

function wrongWithPod(request: AdmissionRequest, nodeName: string): string | undefined {
  const { operation, subresource } = request;
  const node = JSON.stringify(nodeName);
  const old = request.old as Pod | undefined;
  const isOwn = old?.spec?.nodeName === nodeName;
  if (operation === 'CREATE') return wrongWithNewPod(request.object as Pod, nodeName);
  if (operation === 'DELETE') {
    return isOwn ? undefined : `node ${node} can only delete pods with spec.nodeName set to itself`;
  }
  if (operation !== 'UPDATE' || subresource !== 'status') return `unexpected operation ${operation}, node ${node}`;
  if (!isOwn) return `node ${node} can only update pod status for pods with spec.nodeName set to itself`;
  return isDeepStrictEqual(request.object?.metadata?.labels ?? {}, old?.metadata?.labels ?? {})
    ? undefined
    : `node ${node} cannot update labels through pod status`;
}

const mirror = 'kubernetes.io/config.mirror';

/** The likeness of a Pod that the node was given past the API, which must not be a way to others' Secrets. */
function wrongWithNewPod({ metadata, spec }: Pod, nodeName: string): string | undefined {
  const node = JSON.stringify(nodeName);
  if (metadata?.annotations?.[mirror] === undefined) {
    return `pod does not have "${mirror}" annotation, node ${node} can only create mirror pods`;
  }
  if (spec?.nodeName !== nodeName) return `node ${node} can only create pods with spec.nodeName set to itself`;
  const owners = metadata.ownerReferences ?? [];
  const isOwnNode = owners.every(
    ({ apiVersion, kind, name, controller, blockOwnerDeletion }) =>
      apiVersion === 'v1' && kind === 'Node' && name === nodeName && controller && !blockOwnerDeletion,
  );
  if (owners.length !== 1 || !isOwnNode) {
    return `node ${node} can only create pods with one owner reference, the node itself as its controller`;
  }
  if (spec.serviceAccountName) return `node ${node} can not create pods that reference a service account`;
  const [reference] = referencesOf({ metadata, spec });
  if (reference) return `node ${node} can not create pods that reference ${reference.kind.toLowerCase()}s`;
  const claims = spec.volumes?.some((volume) => volume.persistentVolumeClaim || volume.ephemeral);
  return claims ? `node ${node} cannot create pods that reference persistentvolumeclaims` : undefined;
}

function wrongWithNode({ operation, name, object, old }: AdmissionRequest, nodeName: string): string | undefined {
  const node = JSON.stringify(nodeName);
  if (name !== nodeName) return `node ${node} is not allowed to modify node ${JSON.stringify(name)}`;
  if (operation === 'DELETE' || !object) return undefined;
  const next = object as Node;
  const before = old as Node | undefined;
  const labels = forbiddenLabels(next.metadata?.labels ?? {}, before?.metadata?.labels ?? {});
  if (labels.length > 0) {
    const what = before ? 'modify labels' : 'set the following labels';
    return `node ${node} is not allowed to ${what}: ${labels.join(', ')}`;
  }
  if (!before) return undefined;
  if (!isDeepStrictEqual(next.spec?.taints ?? [], before.spec?.taints ?? [])) {
    return `node ${node} is not allowed to modify taints`;
  }
  const owners = [next.metadata?.ownerReferences ?? [], before.metadata?.ownerReferences ?? []] as const;
  return isDeepStrictEqual(...owners) ? undefined : `node ${node} is not allowed to modify ownerReferences`;
}
