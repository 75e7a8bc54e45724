/** IngressClass: which controller serves the Ingresses that name it. */
import type { IngressClass } from 'kubernetes-types/networking/v1.js';
import type { ResourceRef } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, invalidFor, required } from '../../field-errors.ts';
import { dnsLabelProblems, qualifiedNameProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind } from '../define.ts';
import { validateImmutable } from '../metadata.ts';

const ingressClasses = {
  group: 'networking.k8s.io',
  version: 'v1',
  resource: 'ingressclasses',
  namespaced: false,
} as const satisfies ResourceRef;

export const ingressClassKind = defineKind<IngressClass>({
  ref: ingressClasses,
  kind: 'IngressClass',
  columns: [
    nameColumn,
    column('Controller', 'Who serves the Ingresses of this class.'),
    column('Parameters', 'An object with more settings for the controller.'),
    ageColumn,
  ],
  row: (one, nowMs) => [nameCell(one), one.spec?.controller ?? '', parametersOf(one), ageCell(one, nowMs)],
  defaults(one) {
    one.spec ??= {};
    if (one.spec.parameters) one.spec.parameters.scope ||= 'Cluster';
  },
  prepareCreate(one) {
    Object.assign(one.metadata ?? {}, { generation: 1 });
  },
  prepareUpdate: bumpGeneration,
  validate: validateClass,
  validateUpdate: (one, old) => [
    ...validateImmutable(one.spec?.controller, old.spec?.controller, 'spec.controller'),
    ...validateClass(one),
  ],
});

function parametersOf({ spec }: IngressClass): string {
  const parameters = spec?.parameters;
  if (!parameters) return '<none>';
  const kind = parameters.apiGroup ? `${parameters.kind}.${parameters.apiGroup}` : parameters.kind;
  return `${kind}/${parameters.name}`;
}

function validateClass({ spec }: IngressClass): Cause[] {
  const causes: Cause[] = [];
  const { controller = '', parameters } = spec ?? {};
  if (!controller) causes.push(required('spec.controller'));
  else {
    // A domain with a path: only what stands before the first slash and the whole as a key can be told wrong.
    const problems = controller.includes('/') ? [] : ['must be a domain-prefixed path (such as "acme.io/foo")'];
    causes.push(...invalidFor('spec.controller', controller, problems));
    if (problems.length === 0) {
      const [domain = ''] = controller.split('/');
      causes.push(...invalidFor('spec.controller', controller, qualifiedNameProblems(`${domain}/x`)));
    }
  }
  if (!parameters) return causes;
  if (!parameters.kind) causes.push(required('spec.parameters.kind', 'kind is required'));
  if (!parameters.name) causes.push(required('spec.parameters.name', 'name is required'));
  causes.push(...checkEnum('spec.parameters.scope', parameters.scope, ['Cluster', 'Namespace']));
  const { namespace, scope } = parameters;
  if (scope === 'Namespace') {
    if (!namespace) {
      causes.push(required('spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'"));
    } else causes.push(...invalidFor('spec.parameters.namespace', namespace, dnsLabelProblems(namespace)));
  } else if (namespace) {
    causes.push(forbidden('spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'"));
  }
  return causes;
}
