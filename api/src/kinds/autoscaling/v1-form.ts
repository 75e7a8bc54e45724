/**
 * autoscaling/v1's form of a HorizontalPodAutoscaler and the way back: one CPU utilization as a field, everything else in annotations, as Kubernetes
 * has them (pkg/apis/autoscaling/v1/conversion.go); their JSON is that of v2. What a v1 client does not touch comes back as it was.
 */
import type { HorizontalPodAutoscaler as V1Autoscaler } from 'kubernetes-types/autoscaling/v1.js';
import type { MetricSpec, MetricStatus } from 'kubernetes-types/autoscaling/v2.js';
import type { KubeObject } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { invalid } from '../../field-errors.ts';
import { checkStructure } from '../../schema/check-structure.ts';
import type { Autoscaler } from './horizontal-pod-autoscaler.ts';

export type AutoscalerV1 = V1Autoscaler & KubeObject;

const prefix = 'autoscaling.alpha.kubernetes.io';
const keys = {
  metrics: `${prefix}/metrics`,
  behavior: `${prefix}/behavior`,
  currentMetrics: `${prefix}/current-metrics`,
  conditions: `${prefix}/conditions`,
} as const;

export function toV1({ spec, status, metadata, ...head }: Autoscaler): AutoscalerV1 {
  const { metrics = [], behavior, ...rest } = spec!;
  const { currentMetrics = [], conditions, ...numbers } = status ?? { desiredReplicas: 0 };
  const cpu = metrics.find(isCpuUtilization);
  const others = metrics.filter((metric) => metric !== cpu);
  const currentCpu = cpu && currentMetrics.find(isCpuUtilization);
  const percent = currentCpu?.resource?.current.averageUtilization;
  const notes = {
    [keys.metrics]: others.length > 0 ? others : undefined,
    [keys.behavior]: behavior,
    [keys.currentMetrics]: currentMetrics.length > 0 ? currentMetrics : undefined,
    [keys.conditions]: conditions,
  };
  const written = Object.entries(notes).flatMap(([key, value]) => (value ? [[key, JSON.stringify(value)]] : []));
  const annotations = { ...metadata?.annotations, ...Object.fromEntries(written) };
  return {
    ...head,
    apiVersion: 'autoscaling/v1',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...rest, ...(cpu && { targetCPUUtilizationPercentage: cpu.resource!.target.averageUtilization! }) },
    status: {
      currentReplicas: 0,
      ...numbers,
      ...(percent !== undefined && { currentCPUUtilizationPercentage: percent }),
    },
  } as AutoscalerV1;
}

/** The annotations are right: annotationCauses said so. */
export function toV2({ spec, status, metadata, ...head }: AutoscalerV1): Autoscaler {
  const { targetCPUUtilizationPercentage: percent, ...rest } = spec!;
  const { currentCPUUtilizationPercentage: _shown, ...numbers } = status ?? { currentReplicas: 0, desiredReplicas: 0 };
  const annotations = { ...metadata?.annotations };
  const taken = Object.entries(keys).map(([name, key]) => {
    const text = annotations[key];
    delete annotations[key];
    return [name, text === undefined ? undefined : JSON.parse(text)];
  });
  const { metrics = [], behavior, currentMetrics, conditions } = Object.fromEntries(taken);
  const cpu: MetricSpec[] =
    percent === undefined
      ? []
      : [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } } }];
  const { annotations: _annotations, ...others } = metadata ?? {};
  return {
    ...head,
    apiVersion: 'autoscaling/v2',
    metadata: { ...others, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...rest, metrics: [...cpu, ...metrics], ...(behavior && { behavior }) },
    status: { ...numbers, ...(currentMetrics && { currentMetrics }), ...(conditions && { conditions }) },
  } as Autoscaler;
}

function isCpuUtilization({ resource }: MetricSpec | MetricStatus): boolean {
  if (resource?.name !== 'cpu') return false;
  return 'target' in resource
    ? resource.target.averageUtilization !== undefined
    : resource.current.averageUtilization !== undefined;
}

/** An annotation that does not hold what it should would be lost on the way back. */
export function annotationCauses({ metadata }: AutoscalerV1): Cause[] {
  const types = [
    [keys.metrics, (value: unknown) => ({ spec: { metrics: value } })],
    [keys.behavior, (value: unknown) => ({ spec: { behavior: value } })],
    [keys.currentMetrics, (value: unknown) => ({ status: { currentMetrics: value } })],
    [keys.conditions, (value: unknown) => ({ status: { conditions: value } })],
  ] as const;
  return types.flatMap(([key, place]) => {
    const text = metadata?.annotations?.[key];
    if (text === undefined) return [];
    try {
      const problems = checkStructure('autoscaling/v2.HorizontalPodAutoscaler', place(JSON.parse(text)));
      const [problem] = [...problems.wrongTypes, ...problems.unknownFields];
      return problem ? [invalid(`metadata.annotations[${key}]`, text, problem)] : [];
    } catch (error) {
      return [invalid(`metadata.annotations[${key}]`, text, (error as Error).message)];
    }
  });
}
