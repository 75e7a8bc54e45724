/**
 * Plugin PodSecurity: Pods that violate the level their namespace enforces are refused; what violates the level it warns of is told to
 * the client, what violates the level it audits is noted in the audit log, for workloads' Pod templates too. A namespace that begins to enforce is told which of its Pods would not come in.
 */

import { isDeepStrictEqual } from 'node:util';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { Pod, PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { forbidden, invalid } from '../../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Subject } from './check.ts';
import { labelProblems, type Mode, type Policy, policyOf, stricter, violations } from './policy.ts';

const prefix = 'pod-security.kubernetes.io/';

export const podSecurity: AdmissionPlugin = {
  name: 'PodSecurity',
  validate(request) {
    const { kind, operation, subresource } = request;
    if (operation !== 'CREATE' && operation !== 'UPDATE') return;
    if (kind.ref.group === '' && kind.ref.resource === 'namespaces') return checkNamespace(request);
    if (kind.ref.group === '' && kind.ref.resource === 'pods') return checkPod(request);
    const template = subresource === '' && templateOf(request);
    if (!template) return;
    noteViolations(request, subjectOf(template));
    warn(request, subjectOf(template));
  },
};

const told = ({ level, version }: Policy, found: string): string =>
  `violate PodSecurity "${level}:${version}": ${found}`;

function checkPod(request: AdmissionRequest): void {
  const { operation, subresource, object, old, kind, name } = request;
  const isWrite = subresource === '' || subresource === 'ephemeralcontainers';
  if (!isWrite || (operation === 'UPDATE' && !changesSecurity(object as Pod, old as Pod))) return;
  const subject = subjectOf(object as Pod);
  const policy = policyOf(labelsOf(request), 'enforce');
  request.note?.(`${prefix}enforce-policy`, `${policy.level}:${policy.version}`);
  const found = violations(policy, subject);
  noteViolations(request, subject);
  if (found) throw forbidden(kind.ref, name, told(policy, found).replace('violate', 'violates'));
  warn(request, subject);
}

function warn(request: AdmissionRequest, subject: Subject): void {
  const text = wouldViolate(request, subject, 'warn');
  if (text) request.warn(text);
}

function noteViolations(request: AdmissionRequest, subject: Subject): void {
  const text = wouldViolate(request, subject, 'audit');
  if (text) request.note?.(`${prefix}audit-violations`, text);
}

function wouldViolate(request: AdmissionRequest, subject: Subject, mode: Mode): string | undefined {
  const policy = policyOf(labelsOf(request), mode);
  const found = violations(policy, subject);
  return found && `would ${told(policy, found)}`;
}

function labelsOf({ reader, namespace = '' }: AdmissionRequest): Record<string, string> | undefined {
  return reader.get(resources.namespaces, namespace)?.metadata.labels;
}

/** Most of a Pod never changes; images and ephemeral containers do. A Pod that was let in is not refused for anything else. */
function changesSecurity(pod: Pod, old: Pod): boolean {
  const view = ({ spec, metadata }: Pod) => [
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ image }) => image),
    spec?.ephemeralContainers ?? [],
    metadata?.annotations,
  ];
  return !isDeepStrictEqual(view(pod), view(old));
}

const subjectOf = ({ metadata, spec }: PodTemplateSpec | Pod): Subject => ({
  annotations: metadata?.annotations ?? {},
  spec: spec ?? { containers: [] },
});

const withTemplate: Record<string, string[]> = {
  '': ['podtemplates'],
  apps: ['daemonsets', 'deployments', 'replicasets', 'statefulsets'],
  batch: ['jobs', 'cronjobs'],
};

type Workload = KubeObject & {
  template?: PodTemplateSpec;
  spec?: { template?: PodTemplateSpec; jobTemplate?: { spec?: { template?: PodTemplateSpec } } };
};

function templateOf({ kind: { ref }, object }: AdmissionRequest): PodTemplateSpec | undefined {
  if (!withTemplate[ref.group]?.includes(ref.resource)) return undefined;
  const { spec, template } = object as Workload;
  return template ?? spec?.template ?? spec?.jobTemplate?.spec?.template;
}

function checkNamespace(request: AdmissionRequest): void {
  const { object, old, kind, name, operation, subresource } = request;
  const labels = object?.metadata?.labels;
  if (subresource !== '') return;
  const causes = labelProblems(labels);
  if (causes.length > 0) throw invalid({ group: '', kind: kind.kind }, name, causes);
  const policy = policyOf(labels, 'enforce');
  if (operation === 'UPDATE' && stricter(policy, policyOf(old?.metadata.labels, 'enforce')))
    warnOfPods(request, policy);
}

/** More Pods than this are not told one by one. */
const maxTold = 10;

/** Pods with the same violations stand in one line. */
function warnOfPods({ reader, name, warn: tell }: AdmissionRequest, policy: Policy): void {
  const byViolation = new Map<string, string[]>();
  for (const pod of reader.list(resources.pods, name)) {
    const found = violations(policy, subjectOf(pod as Pod));
    if (!found) continue;
    const names = byViolation.get(found) ?? [];
    names.push(pod.metadata.name ?? '');
    byViolation.set(found, names);
  }
  if (byViolation.size === 0) return;
  tell(
    `existing pods in namespace "${name}" violate the new PodSecurity enforce level "${policy.level}:${policy.version}"`,
  );
  for (const [found, [first, ...others]] of [...byViolation].slice(0, maxTold)) {
    const more = others.length > 0 ? ` (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})` : '';
    tell(`${first}${more}: ${found}`);
  }
}
