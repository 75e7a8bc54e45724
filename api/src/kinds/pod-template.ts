/** PodTemplate: a template of Pods under a name of its own. Nothing makes Pods of it. */
import type { PodTemplate } from 'kubernetes-types/core/v1.js';
import type { ResourceRef } from '../client.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';
import { applyPodTemplateDefaults, validatePodTemplate } from './pod/template.ts';

const podTemplates = {
  group: '',
  version: 'v1',
  resource: 'podtemplates',
  namespaced: true,
} as const satisfies ResourceRef;

export const podTemplateKind = defineKind<PodTemplate>({
  ref: podTemplates,
  kind: 'PodTemplate',
  showsDeleted: true,
  columns: [
    nameColumn,
    column('Containers', 'Names of the containers.'),
    column('Images', 'Images of the containers.'),
    column('Pod Labels', 'Labels of Pods made of it.'),
    ageColumn,
  ],
  row({ metadata, template }, nowMs) {
    const containers = template?.spec?.containers ?? [];
    const labels = Object.entries(template?.metadata?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    return [
      nameCell({ metadata }),
      containers.map(({ name }) => name).join(','),
      containers.map(({ image = '' }) => image).join(','),
      labels.sort().join(',') || '<none>',
      ageCell({ metadata }, nowMs),
    ];
  },
  defaults(object) {
    object.template ??= {};
    applyPodTemplateDefaults(object.template);
  },
  prepareCreate(object) {
    Object.assign(object.metadata ?? {}, { generation: 1 });
  },
  validate: ({ template }) => validatePodTemplate(template ?? {}, 'template'),
});
