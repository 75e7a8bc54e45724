/** CustomResourceDefinition (apiextensions.k8s.io/v1) with its schemas as they are on the wire. */
import type {
  CustomResourceDefinitionSpec as Spec,
  CustomResourceDefinitionStatus as Status,
  CustomResourceDefinitionVersion as Version,
} from 'kubernetes-types/apiextensions/v1.js';
import type { KubeObject } from '../client.ts';
import type { CustomSchema } from './custom-schema.ts';

export interface VersionSpec extends Omit<Version, 'schema' | 'subresources'> {
  schema?: { openAPIV3Schema?: CustomSchema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  selectableFields?: { jsonPath: string }[];
}

export interface CustomResourceDefinition extends KubeObject {
  spec: Omit<Spec, 'versions'> & { versions: VersionSpec[] };
  status?: Partial<Status>;
}
