/** A claim that names no class gets the default one, the newest if there are several (plugin DefaultStorageClass). */
import { resources } from '@sampan/api/client.ts';
import { isDefaultClass } from '@sampan/api/kinds/storage/storage-class.ts';
import type { PersistentVolumeClaim } from 'kubernetes-types/core/v1.js';
import type { StorageClass } from 'kubernetes-types/storage/v1.js';
import type { AdmissionPlugin } from './admission.ts';

export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  mutate({ kind, operation, subresource, object, reader }) {
    const { group, resource } = resources.persistentvolumeclaims;
    if (operation !== 'CREATE' || subresource !== '') return;
    if (kind.ref.group !== group || kind.ref.resource !== resource) return;
    const { spec } = object as PersistentVolumeClaim;
    // An empty name means: no class at all.
    if (!spec || spec.storageClassName !== undefined || spec.volumeName) return;
    const classes = [...reader.list(resources.storageclasses)].filter((one) => isDefaultClass(one as StorageClass));
    const newest = classes.sort((a, b) =>
      String(b.metadata.creationTimestamp).localeCompare(String(a.metadata.creationTimestamp)),
    )[0];
    if (newest) spec.storageClassName = newest.metadata.name;
  },
};
