/** Admission: no new objects of a custom kind whose definition is on its way out, or its cleanup would never end. */
import { SampanError } from '@sampan/api/errors.ts';
import { customResourceDefinitions } from '@sampan/api/kinds/custom-resource-definition.ts';
import type { AdmissionPlugin } from '../admission/admission.ts';
import { qualified } from '../meta/failures.ts';

export const definitionLifecycle: AdmissionPlugin = {
  name: 'CustomResourceDefinitionLifecycle',
  validate({ operation, kind, reader }) {
    if (operation !== 'CREATE' || !kind.openApiSchema) return;
    const definition = reader.get(customResourceDefinitions, qualified(kind.ref));
    if (definition && !definition.metadata.deletionTimestamp) return;
    const message = 'create not allowed while custom resource definition is terminating';
    throw new SampanError('MethodNotAllowed', message, { group: kind.ref.group, kind: kind.ref.resource });
  },
};
