/** Nothing is created in a namespace that is not there or is going; the system's namespaces stay (plugin NamespaceLifecycle). */
import { resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { Namespace } from 'kubernetes-types/core/v1.d.ts';
import { forbidden, notFound, qualified } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const immortal = ['default', 'kube-system', 'kube-public'];

export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  // In mutate, before other plugins look for things in a namespace that is not there.
  mutate(request) {
    if (request.operation === 'CREATE' && request.namespace !== undefined) checkOpen(request, request.namespace);
  },
  validate({ operation, kind, name }) {
    const { group, resource } = kind.ref;
    if (operation !== 'DELETE' || group !== '' || resource !== 'namespaces' || !immortal.includes(name)) return;
    throw forbidden(kind.ref, name, 'this namespace may not be deleted');
  },
};

function checkOpen({ kind, name, reader }: AdmissionRequest, namespace: string): void {
  const found = reader.get(resources.namespaces, namespace);
  if (!found) throw notFound(resources.namespaces, namespace);
  const terminating = found.metadata.deletionTimestamp || (found as Namespace).status?.phase === 'Terminating';
  if (!terminating) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  const { group, resource } = kind.ref;
  throw new SampanError('Forbidden', `${qualified(kind.ref)} "${name}" is forbidden: ${why}`, {
    group,
    kind: resource,
    name,
    causes: [cause],
  });
}
