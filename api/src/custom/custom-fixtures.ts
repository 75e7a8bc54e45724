/** A definition for tests: Kubernetes' own example (CronTab), with a little of everything. */
import type { CustomSchema } from './custom-schema.ts';
import type { CustomResourceDefinition, VersionSpec } from './definition-types.ts';

const schema: CustomSchema = {
  type: 'object',
  description: 'A job in a table.',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      description: 'What is wanted.',
      required: ['cronSpec'],
      properties: {
        cronSpec: {
          type: 'string',
          description: 'When it runs.',
          pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$',
        },
        image: { type: 'string' },
        replicas: { type: 'integer', minimum: 1, maximum: 10, default: 1 },
        port: { 'x-kubernetes-int-or-string': true },
        mode: { type: 'string', enum: ['slow', 'fast'] },
        note: { type: 'string', nullable: true },
        env: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, value: { type: 'string', default: '' } },
          },
        },
        tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        template: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          'x-kubernetes-preserve-unknown-fields': true,
        },
      },
    },
    status: {
      type: 'object',
      properties: { replicas: { type: 'integer' }, labelSelector: { type: 'string' }, phase: { type: 'string' } },
    },
  },
};

export function cronTabVersion(change: Partial<VersionSpec> = {}): VersionSpec {
  return {
    name: 'v1',
    served: true,
    storage: true,
    schema: { openAPIV3Schema: structuredClone(schema) },
    subresources: {
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.labelSelector',
      },
    },
    additionalPrinterColumns: [
      { name: 'Spec', type: 'string', jsonPath: '.spec.cronSpec', description: 'When it runs.' },
      { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
    selectableFields: [{ jsonPath: '.spec.mode' }],
    ...change,
  };
}

/** A new one at each call. */
export function cronTabs(change: Partial<CustomResourceDefinition['spec']> = {}): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'crontabs.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: {
        plural: 'crontabs',
        singular: 'crontab',
        kind: 'CronTab',
        listKind: 'CronTabList',
        shortNames: ['ct'],
        categories: ['all'],
      },
      versions: [cronTabVersion()],
      ...change,
    },
  };
}
