/** What metrics.k8s.io says of Pods, and what they requested, in thousandths. Pure. */
import type { KubeObject } from '@sampan/api/client.ts';
import { isSidecar } from '@sampan/api/kinds/pod/pod-types.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import type { PodSample } from './replica-count.ts';

/** metrics.k8s.io/v1beta1 PodMetrics. */
export interface PodMetrics extends KubeObject {
  timestamp?: string;
  /** A Go duration. */
  window?: string;
  containers?: { name?: string; usage?: Record<string, string> }[];
}

export const podMetricsRef = { group: 'metrics.k8s.io', version: 'v1beta1', resource: 'pods', namespaced: true };

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };
const defaultWindowMs = 60_000;

/** By Pod name. A Pod of which one container is not measured is left out: a part would be taken for the whole. */
export function samplesOf(metrics: PodMetrics[], resource: string, container?: string): Map<string, PodSample> {
  const samples = new Map<string, PodSample>();
  for (const pod of metrics) {
    const containers = (pod.containers ?? []).filter(({ name }) => container === undefined || name === container);
    const amounts = containers.map(({ usage }) => tryParseQuantity(usage?.[resource]));
    if (amounts.length === 0 || amounts.some((one) => one === undefined)) continue;
    samples.set(pod.metadata?.name ?? '', {
      milli: amounts.reduce((sum, one) => sum + one!.milliValue(), 0),
      atMs: parseTime(pod.timestamp) ?? 0,
      windowMs: parseDuration(pod.window),
    });
  }
  return samples;
}

function parseDuration(text: string | undefined): number {
  const terms = [...(text ?? '').matchAll(/(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)/g)];
  if (terms.length === 0) return defaultWindowMs;
  return terms.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit!]!, 0);
}

/** By Pod name. Throws RangeError when a container that counts requests nothing: a share of nothing means nothing. */
export function requestsOf(pods: PodObject[], resource: string, container?: string): Map<string, number> {
  const requests = new Map<string, number>();
  for (const pod of pods) {
    const { containers = [], initContainers = [] } = pod.spec ?? {};
    let milli = 0;
    for (const one of [...containers, ...initContainers.filter(isSidecar)]) {
      if (container !== undefined && one.name !== container) continue;
      const amount = tryParseQuantity(one.resources?.requests?.[resource]);
      if (!amount) {
        throw new RangeError(`missing request for ${resource} in container ${one.name} of Pod ${pod.metadata?.name}`);
      }
      milli += amount.milliValue();
    }
    requests.set(pod.metadata?.name ?? '', milli);
  }
  return requests;
}
