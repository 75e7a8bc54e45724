/** Validation of a CustomResourceDefinition (apiextensions-apiserver pkg/apis/apiextensions/validation), and what this server refuses of it by name. */
import type { Cause } from '../errors.ts';
import { checkEnum, duplicate, forbidden, invalid, invalidFor, required } from '../field-errors.ts';
import { equalJson } from '../json.ts';
import { validateImmutable } from '../kinds/metadata.ts';
import { dnsSubdomainProblems } from '../names.ts';
import { versionProblems } from './check-version.ts';
import type { CustomResourceDefinition, VersionSpec } from './definition-types.ts';
import { dns1035Problems } from './dns-1035.ts';

export function validateDefinition(definition: CustomResourceDefinition): Cause[] {
  const { spec, metadata } = definition;
  const name = `${spec.names?.plural}.${spec.group}`;
  return [
    ...(metadata?.name === name
      ? []
      : [invalid('metadata.name', metadata?.name ?? '', 'must be spec.names.plural+"."+spec.group')]),
    ...groupProblems(definition),
    ...nameProblems(definition),
    ...checkEnum('spec.scope', spec.scope, ['Cluster', 'Namespaced']),
    ...versionListProblems(spec.versions ?? []),
    ...conversionProblems(definition),
    ...(spec.preserveUnknownFields
      ? [
          invalid(
            'spec.preserveUnknownFields',
            true,
            'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
          ),
        ]
      : []),
  ];
}

export function validateDefinitionUpdate(definition: CustomResourceDefinition, old: CustomResourceDefinition): Cause[] {
  const { spec, status } = definition;
  const causes = [...validateDefinition(definition), ...validateImmutable(spec.group, old.spec.group, 'spec.group')];
  const established = old.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
  if (established) {
    causes.push(...validateImmutable(spec.scope, old.spec.scope, 'spec.scope'));
    causes.push(...validateImmutable(spec.names.kind, old.spec.names.kind, 'spec.names.kind'));
  }
  causes.push(...validateImmutable(spec.names.plural, old.spec.names.plural, 'spec.names.plural'));
  for (const [i, version] of (status?.storedVersions ?? []).entries()) {
    if (spec.versions?.some(({ name }) => name === version)) continue;
    const detail = `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`;
    causes.push(invalid(`status.storedVersions[${i}]`, version, detail));
  }
  return causes;
}

const approval = 'api-approved.kubernetes.io';

function groupProblems({ spec: { group }, metadata }: CustomResourceDefinition): Cause[] {
  if (!group) return [required('spec.group')];
  const causes = invalidFor('spec.group', group, dnsSubdomainProblems(group));
  if (!group.includes('.')) causes.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  const isProtected = /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group);
  if (isProtected && !metadata?.annotations?.[approval]) {
    const detail = `protected groups must have approval annotation "${approval}", see https://github.com/kubernetes/enhancements/pull/1111`;
    causes.push(required(`metadata.annotations[${approval}]`, detail));
  }
  return causes;
}

function nameProblems({ spec: { names } }: CustomResourceDefinition): Cause[] {
  const causes: Cause[] = [];
  const check = (field: string, value: string | undefined, isNeeded = true) => {
    const at = `spec.names.${field}`;
    if (!value) {
      if (isNeeded) causes.push(required(at));
    } else causes.push(...invalidFor(at, value, dns1035Problems(value.toLowerCase())));
  };
  check('plural', names.plural);
  if (names.plural && names.plural !== names.plural.toLowerCase()) {
    causes.push(...invalidFor('spec.names.plural', names.plural, dns1035Problems(names.plural)));
  }
  check('singular', names.singular);
  check('kind', names.kind);
  check('listKind', names.listKind);
  for (const [i, name] of (names.shortNames ?? []).entries()) {
    causes.push(...invalidFor(`spec.names.shortNames[${i}]`, name, dns1035Problems(name)));
  }
  for (const [i, name] of (names.categories ?? []).entries()) {
    causes.push(...invalidFor(`spec.names.categories[${i}]`, name, dns1035Problems(name)));
  }
  if (names.kind && names.kind === names.listKind) {
    causes.push(invalid('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
  }
  return causes;
}

function versionListProblems(versions: VersionSpec[]): Cause[] {
  if (versions.length === 0) {
    return [invalid('spec.versions', [], 'must have exactly one version marked as storage version')];
  }
  const causes: Cause[] = [];
  const names = versions.map(({ name }) => name);
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i) causes.push(duplicate(`spec.versions[${i}].name`, name));
  if (versions.filter(({ storage }) => storage).length !== 1) {
    causes.push(invalid('spec.versions', names, 'must have exactly one version marked as storage version'));
  }
  return [...causes, ...versions.flatMap((version, i) => versionProblems(version, `spec.versions[${i}]`))];
}

function conversionProblems({ spec: { conversion } }: CustomResourceDefinition): Cause[] {
  if (!conversion) return [];
  if (conversion.strategy === 'Webhook') {
    const detail = 'conversion by webhook is not supported by this server; only None is';
    return [forbidden('spec.conversion.strategy', detail)];
  }
  const causes = checkEnum('spec.conversion.strategy', conversion.strategy, ['None', 'Webhook']);
  if (conversion.webhook && !equalJson(conversion.webhook, {})) {
    causes.push(forbidden('spec.conversion.webhook', 'should not be set when strategy is not set to Webhook'));
  }
  return causes;
}
