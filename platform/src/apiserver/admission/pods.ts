/** Which admission requests are about Pods, and the Pod in them. */
import type { Pod, PodSpec } from 'kubernetes-types/core/v1.d.ts';
import type { AdmissionRequest } from './admission.ts';

/** The spec of a Pod being created, to be changed in place; undefined for every other request. */
export function createdPodSpec(request: AdmissionRequest): PodSpec | undefined {
  return request.operation === 'CREATE' ? writtenPodSpec(request) : undefined;
}

/** The spec of a Pod being created or updated (not through a subresource), to be changed in place. */
export function writtenPodSpec(request: AdmissionRequest): PodSpec | undefined {
  const { group, resource } = request.kind.ref;
  const isWrite = request.operation === 'CREATE' || request.operation === 'UPDATE';
  const isPod = group === '' && resource === 'pods' && isWrite && request.subresource === '';
  return isPod ? ((request.object as Pod).spec ?? undefined) : undefined;
}
