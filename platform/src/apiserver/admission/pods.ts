/** Which admission requests are about Pods, and the Pod in them. */
import type { Pod, PodSpec } from 'kubernetes-types/core/v1.d.ts';
import type { AdmissionRequest } from './admission.ts';

/** The spec of a Pod being created, to be changed in place; undefined for every other request. */
export function createdPodSpec(request: AdmissionRequest): PodSpec | undefined {
  const { group, resource } = request.kind.ref;
  const isPod = group === '' && resource === 'pods' && request.operation === 'CREATE' && request.subresource === '';
  return isPod ? ((request.object as Pod).spec ?? undefined) : undefined;
}
