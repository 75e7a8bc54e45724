/**
 * Plugin LimitRanger: containers get the requests and limits of their namespace's LimitRanges where they name none, and what is outside
 * a range is refused. The arithmetic of ranges stands in limit-checks.ts.
 */
import { resources } from '@sampan/api/client.ts';
import type { Container, LimitRange, PersistentVolumeClaim, Pod } from 'kubernetes-types/core/v1.js';
import { forbidden } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { claimProblems, podProblems } from './limit-checks.ts';
import { createdPodSpec } from './pods.ts';

const annotation = 'kubernetes.io/limit-ranger';

export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  mutate(request) {
    const spec = createdPodSpec(request);
    if (!spec) return;
    const pod = request.object as Pod;
    for (const { spec: range } of rangesOf(request)) {
      const item = range?.limits.find(({ type }) => type === 'Container');
      if (!item) continue;
      const amounts = { requests: item.defaultRequest, limits: item.default };
      const told = [
        ...(spec.containers ?? []).flatMap((container) => fill(container, 'container', amounts)),
        ...(spec.initContainers ?? []).flatMap((container) => fill(container, 'init container', amounts)),
      ];
      if (told.length === 0) continue;
      const text = `LimitRanger plugin set: ${told.join('; ')}`;
      pod.metadata = { ...pod.metadata, annotations: { ...pod.metadata?.annotations, [annotation]: text } };
    }
  },
  validate(request) {
    const problems = rangesOf(request).flatMap(({ spec }) => problemsOf(request, spec?.limits ?? []));
    if (problems.length === 0) return;
    const why = problems.length === 1 ? `${problems[0]}` : `[${problems.join(', ')}]`;
    throw forbidden(request.kind.ref, request.name, why);
  },
};

function rangesOf({ reader, namespace, operation }: AdmissionRequest): LimitRange[] {
  if (namespace === undefined || operation === 'DELETE' || operation === 'CONNECT') return [];
  return [...reader.list(resources.limitranges, namespace)] as LimitRange[];
}

type Items = NonNullable<LimitRange['spec']>['limits'];

/** Pods when they are made, claims whenever they are written: they may grow. */
function problemsOf(request: AdmissionRequest, items: Items): string[] {
  const { kind, operation, object, subresource } = request;
  if (kind.ref.group !== '' || subresource !== '') return [];
  if (kind.ref.resource === 'pods' && operation === 'CREATE') return podProblems(object as Pod, items);
  if (kind.ref.resource === 'persistentvolumeclaims') return claimProblems(object as PersistentVolumeClaim, items);
  return [];
}

type ResourceList = Record<string, string> | undefined;

/** Returns what was set, for the annotation. */
function fill(container: Container, what: string, amounts: { requests: ResourceList; limits: ResourceList }): string[] {
  return (['requests', 'limits'] as const).flatMap((list) => {
    const own = container.resources?.[list] ?? {};
    const missing = Object.entries(amounts[list] ?? {}).filter(([name]) => own[name] === undefined);
    if (missing.length === 0) return [];
    container.resources = { ...container.resources, [list]: { ...own, ...Object.fromEntries(missing) } };
    const names = missing.map(([name]) => name).sort();
    return [`${names.join(', ')} ${list.slice(0, -1)} for ${what} ${container.name}`];
  });
}
