/** What each metric of an autoscaler proposes, and which proposal wins. Pure. */
import type { Autoscaler } from '@sampan/api/kinds/autoscaling/horizontal-pod-autoscaler.ts';
import { Quantity, tryParseQuantity } from '@sampan/api/quantity.ts';
import type { MetricSpec, MetricStatus, MetricTarget } from 'kubernetes-types/autoscaling/v2.js';
import type { PodObject } from '../pods/pod-facts.ts';
import { type PodMetrics, requestsOf, samplesOf } from './pod-metrics.ts';
import { countReplicas, type MetricTargetValue } from './replica-count.ts';

export interface Measured {
  currentReplicas: number;
  /** Those the target selects. */
  pods: PodObject[];
  /** What metrics.k8s.io answered, or why it did not. */
  metrics: PodMetrics[] | Error;
  nowMs: number;
}

export interface Proposal {
  replicas: number;
  /** Of the metric that won, as events name it. */
  metric: string;
  statuses: MetricStatus[];
}

export interface MetricFailure {
  reason: string;
  message: string;
}

interface One {
  replicas: number;
  metric: string;
  status: MetricStatus;
}

/**
 * The highest proposal. A metric that cannot be read may not stand in the way of growing, but nothing shrinks without it: then, or when no metric can be
 * read, the failure is answered.
 */
export function proposeReplicas(scaler: Autoscaler, measured: Measured): Proposal | MetricFailure {
  const specs = scaler.spec?.metrics ?? [];
  const proposals: One[] = [];
  const failures: MetricFailure[] = [];
  for (const spec of specs) {
    try {
      proposals.push(propose(spec, measured));
    } catch (error) {
      failures.push({ reason: reasonOf(spec), message: (error as Error).message });
    }
  }
  const best = proposals.reduce<One | undefined>(
    (top, one) => (top && top.replicas >= one.replicas ? top : one),
    undefined,
  );
  const [failure] = failures;
  if (failure && (!best || best.replicas < measured.currentReplicas)) {
    const message = `invalid metrics (${failures.length} invalid out of ${specs.length}), first error is: ${failure.message}`;
    return { reason: failure.reason, message };
  }
  if (!best) return { reason: 'FailedGetResourceMetric', message: 'no metrics are asked for' };
  return { replicas: best.replicas, metric: best.metric, statuses: proposals.map(({ status }) => status) };
}

function reasonOf({ type }: MetricSpec): string {
  return `FailedGet${type}Metric`;
}

/** Metrics of other APIs are served by adapters; this server registers none, and says so as a cluster without them does. */
const apis: Record<string, [metric: string, api: string]> = {
  Pods: ['pods metric', 'custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered'],
  Object: ['object metric', 'custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered'],
  External: ['external metric', 'external metrics API: no external metrics API (external.metrics.k8s.io) registered'],
};

function propose(spec: MetricSpec, measured: Measured): One {
  const source = spec.resource ?? spec.containerResource;
  const { container } = spec.containerResource ?? {};
  if (!source) {
    const [metric = 'metric', api = ''] = apis[spec.type] ?? [];
    throw new RangeError(`failed to get ${metric} value: unable to fetch metrics from ${api}`);
  }
  const failed = `failed to get ${source.name} ${source.target.averageUtilization === undefined ? 'usage' : 'utilization'}`;
  if (measured.metrics instanceof Error) {
    const why = `unable to fetch metrics from resource metrics API: ${measured.metrics.message}`;
    throw new RangeError(`${failed}: unable to get metrics for resource ${source.name}: ${why}`);
  }
  const samples = samplesOf(measured.metrics, source.name, container);
  if (samples.size === 0) {
    const why = 'no metrics returned from resource metrics API';
    throw new RangeError(`${failed}: unable to get metrics for resource ${source.name}: ${why}`);
  }
  const target = targetOf(source.target);
  try {
    const requests = 'utilization' in target ? requestsOf(measured.pods, source.name, container) : new Map();
    const count = countReplicas({ ...measured, target, samples, requests, isCpu: source.name === 'cpu' });
    const current = {
      ...(count.utilization !== undefined && { averageUtilization: count.utilization }),
      averageValue: new Quantity(BigInt(count.averageMilli) * 1_000_000n).toString(),
    };
    const what = container === undefined ? '' : 'container ';
    const share = 'utilization' in target ? ' utilization (percentage of request)' : '';
    return {
      replicas: count.replicas,
      metric: `${source.name} ${what}resource${share}`,
      status: spec.resource
        ? { type: 'Resource', resource: { name: source.name, current } }
        : { type: 'ContainerResource', containerResource: { name: source.name, container: container!, current } },
    };
  } catch (error) {
    throw new RangeError(`${failed}: ${(error as Error).message}`);
  }
}

function targetOf(target: MetricTarget): MetricTargetValue {
  if (target.averageUtilization !== undefined) return { utilization: target.averageUtilization };
  return { averageMilli: tryParseQuantity(target.averageValue)?.milliValue() ?? 1 };
}
