/** autoscaling/v1 Scale: how many replicas something has and should have. Never stored: a view of any kind that tells where its numbers stand. */
import type { Scale } from 'kubernetes-types/autoscaling/v1.js';
import type { KubeObject } from '../client.ts';
import { isJsonObject } from '../json.ts';
import type { ScalePaths } from '../kind.ts';
import { formatLabelSelector } from '../selectors/label-selector.ts';
import { nonNegative } from './apps/workload-validation.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind } from './define.ts';

/** Its structure and validation; the resource is named for errors alone. */
export const scaleKind = defineKind<Scale>({
  ref: { group: 'autoscaling', version: 'v1', resource: 'scales', namespaced: true },
  kind: 'Scale',
  columns: [
    nameColumn,
    column('Desired', 'Replicas there should be.', { type: 'integer' }),
    column('Available', 'Replicas there are.', { type: 'integer' }),
    ageColumn,
  ],
  row: (scale, nowMs) => [
    nameCell(scale),
    scale.spec?.replicas ?? 0,
    scale.status?.replicas ?? 0,
    ageCell(scale, nowMs),
  ],
  defaults(scale) {
    scale.spec ??= {};
    scale.spec.replicas ??= 0;
  },
  validate: ({ spec }) => nonNegative({ 'spec.replicas': spec?.replicas }),
});

export function scaleOf(object: KubeObject, paths: ScalePaths): Scale & KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const replicas = Number(valueAt(object, paths.specReplicas) ?? 0);
  const selector = paths.labelSelector ? valueAt(object, paths.labelSelector) : undefined;
  const text = isJsonObject(selector) ? formatLabelSelector(selector) : selector;
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp: creationTimestamp as string },
    spec: replicas === 0 ? {} : { replicas },
    status: {
      replicas: Number(valueAt(object, paths.statusReplicas) ?? 0),
      ...(typeof text === 'string' && text ? { selector: text } : {}),
    },
  };
}

/** In place. Objects on the way to the number are made. */
export function setReplicas(object: KubeObject, { specReplicas }: ScalePaths, replicas: number): void {
  const steps = stepsOf(specReplicas);
  const last = steps.pop()!;
  let at = object as Record<string, unknown>;
  for (const step of steps) {
    if (!Object.hasOwn(at, step) || !isJsonObject(at[step])) at[step] = {};
    at = at[step] as Record<string, unknown>;
  }
  at[last] = replicas;
}

function valueAt(object: KubeObject, path: string): unknown {
  return stepsOf(path).reduce<unknown>(
    (at, step) => (isJsonObject(at) && Object.hasOwn(at, step) ? at[step] : undefined),
    object,
  );
}

const stepsOf = (path: string): string[] => path.split('.').filter(Boolean);
