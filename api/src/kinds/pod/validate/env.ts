/** env and envFrom of a container. */
import type { EnvFromSource, EnvVar } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { invalid, invalidFor, required } from '../../../field-errors.ts';
import { dnsSubdomainProblems, envNameProblems } from '../../../names.ts';
import { checkFieldRef, checkKeyRef, checkResourceFieldRef, envFieldPaths } from './references.ts';

export function validateEnv(variables: EnvVar[] = [], field: string): Cause[] {
  return variables.flatMap((variable, i) => {
    const at = `${field}[${i}]`;
    const causes = variable.name
      ? invalidFor(`${at}.name`, variable.name, envNameProblems(variable.name))
      : [required(`${at}.name`)];
    return [...causes, ...checkSource(variable, `${at}.valueFrom`)];
  });
}

function checkSource({ value, valueFrom }: EnvVar, field: string): Cause[] {
  if (!valueFrom) return [];
  const causes: Cause[] = [];
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) causes.push(...checkFieldRef(fieldRef, `${field}.fieldRef`, envFieldPaths));
  if (resourceFieldRef) causes.push(...checkResourceFieldRef(resourceFieldRef, `${field}.resourceFieldRef`, false));
  if (configMapKeyRef) causes.push(...checkKeyRef(configMapKeyRef, `${field}.configMapKeyRef`));
  if (secretKeyRef) causes.push(...checkKeyRef(secretKeyRef, `${field}.secretKeyRef`));
  // fileKeyRef is refused elsewhere, by name; here it counts as a source.
  const sources = Object.keys(valueFrom).length;
  if (sources === 0) {
    const detail = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
    causes.push(invalid(field, '', detail));
  } else if (value) causes.push(invalid(field, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) causes.push(invalid(field, '', 'may not have more than one field specified at a time'));
  return causes;
}

export function validateEnvFrom(sources: EnvFromSource[] = [], field: string): Cause[] {
  return sources.flatMap(({ prefix, configMapRef, secretRef }, i) => {
    const at = `${field}[${i}]`;
    const causes = prefix ? invalidFor(`${at}.prefix`, prefix, envNameProblems(prefix)) : [];
    for (const [name, ref] of Object.entries({ configMapRef, secretRef })) {
      if (!ref) continue;
      if (!ref.name) causes.push(required(`${at}.${name}.name`));
      else causes.push(...invalidFor(`${at}.${name}.name`, ref.name, dnsSubdomainProblems(ref.name)));
    }
    if (!configMapRef && !secretRef) {
      causes.push(invalid(field, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (configMapRef && secretRef) {
      causes.push(invalid(field, '', 'may not have more than one field specified at a time'));
    }
    return causes;
  });
}
