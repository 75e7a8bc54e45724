/** A Pod's spec as a whole. */
import type { Pod, PodSpec } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { checkEnum, forbidden, invalid, invalidFor } from '../../../field-errors.ts';
import { dnsLabelProblems, dnsSubdomainProblems, rangeMessage } from '../../../names.ts';
import { validateResources } from './container-resources.ts';
import { validateContainers } from './containers.ts';
import { validateDns } from './dns.ts';
import { validateScheduling } from './scheduling.ts';
import { validatePodSecurity } from './security.ts';
import { unsupportedFields } from './unsupported.ts';
import { validateVolumes } from './volumes.ts';

export const maxInt32 = 2_147_483_647;
const restartPolicies = ['Always', 'OnFailure', 'Never'];
const preemptionPolicies = ['PreemptLowerPriority', 'Never'];
const operatingSystems = ['linux', 'windows'];

export function validateSpec(pod: Pod): Cause[] {
  return [...validateTemplateSpec(pod), ...validateTokens(pod.spec!)];
}

/** What holds of a Pod and of a template alike: a template's service account may still come by admission. */
export function validateTemplateSpec(pod: Pod): Cause[] {
  const spec = pod.spec!;
  return [
    ...validateVolumes(pod),
    ...validateContainers(pod),
    ...checkEnum('spec.restartPolicy', spec.restartPolicy, restartPolicies),
    ...validateDns(spec),
    ...validatePodSecurity(spec.securityContext),
    ...validateScheduling(spec),
    ...validateNames(spec),
    ...validateNumbers(spec),
    ...unsupportedFields(pod),
  ];
}

function validateNames(spec: PodSpec): Cause[] {
  const causes: Cause[] = [];
  for (const name of ['serviceAccountName', 'nodeName', 'priorityClassName', 'runtimeClassName'] as const) {
    const value = spec[name];
    // runtimeClassName is a pointer in Go: an empty one is there, and wrong.
    if (value || (name === 'runtimeClassName' && value === '')) {
      causes.push(...invalidFor(`spec.${name}`, value, dnsSubdomainProblems(value)));
    }
  }
  for (const name of ['hostname', 'subdomain'] as const) {
    const value = spec[name];
    if (value) causes.push(...invalidFor(`spec.${name}`, value, dnsLabelProblems(value)));
  }
  const { preemptionPolicy, os } = spec;
  if (preemptionPolicy !== undefined) {
    causes.push(...checkEnum('spec.preemptionPolicy', preemptionPolicy, preemptionPolicies));
  }
  if (os) causes.push(...checkEnum('spec.os.name', os.name, operatingSystems));
  return causes;
}

function validateNumbers(spec: PodSpec): Cause[] {
  const causes: Cause[] = [];
  const { activeDeadlineSeconds: deadline, overhead } = spec;
  if (deadline !== undefined && (deadline < 1 || deadline > maxInt32)) {
    causes.push(invalid('spec.activeDeadlineSeconds', deadline, rangeMessage(1, maxInt32)));
  }
  if (overhead) causes.push(...validateResources({ limits: overhead }, 'spec.overhead'));
  return causes;
}

/** A token is somebody's: without an account there is nobody it could be issued to. */
function validateTokens(spec: PodSpec): Cause[] {
  if (spec.serviceAccountName) return [];
  return (spec.volumes ?? []).flatMap(({ projected }, i) =>
    (projected?.sources ?? []).flatMap((source, j) =>
      source.serviceAccountToken
        ? [
            forbidden(
              `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`,
              'must not be specified when serviceAccountName is not set',
            ),
          ]
        : [],
    ),
  );
}
