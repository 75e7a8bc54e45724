/**
 * Asks a Pod's disruption budget whether it may be evicted, and takes one from it (registry/core/pod/rest/eviction.go). The budget's status is written
 * before the Pod is deleted, so that two evictions never share the last one.
 */
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { DisruptionBudget } from '@sampan/api/kinds/policy/pod-disruption-budget.ts';
import { fromLabelSelectorObject, matchesLabels } from '@sampan/api/selectors/label-selector.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import { forbidden } from '../meta/failures.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import type { Caller, VerbContext } from '../verbs/context.ts';
import { readerOf } from '../verbs/context.ts';
import { rewrite } from '../verbs/rewrite.ts';

type PodObject = Pod & KubeObject;

/** Beyond it the controller does not keep up, and the status would grow without end. */
const maxDisruptedPods = 2000;
const refusal = "Cannot evict pod as it would violate the pod's disruption budget.";
const retryWhileBehindSeconds = 10;

/**
 * Returns when the Pod may go. Throws TooManyRequests with the cause DisruptionBudget when it may not now, InternalError when several budgets claim it.
 * The answer says whether the deletion has to be of the Pod exactly as it was judged: it was let go for being unhealthy.
 */
export async function askBudget(context: VerbContext, pod: PodObject, caller: Caller): Promise<{ exactly: boolean }> {
  if (needsNoBudget(pod)) return { exactly: true };
  const budgets = budgetsOf(context, pod);
  const [budget] = budgets;
  if (!budget) return { exactly: false };
  if (budgets.length > 1) {
    const message = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
    throw new SampanError('InternalError', message);
  }
  if (!isReady(pod) && mayGoUnhealthy(budget)) return { exactly: true };
  const kind = context.kinds.of(resources.poddisruptionbudgets);
  const { name = '', namespace } = budget.metadata ?? {};
  const systemCaller = { ...caller, fieldManager: 'kube-apiserver' };
  await rewrite(context, {
    place: { kind, namespace, name },
    target: 'status',
    caller: systemCaller,
    change: (current) => takeOne(current as DisruptionBudget & Stored, pod, context.clock.now()),
  });
  return { exactly: false };
}

/** What does not run, or goes already, disrupts nobody. */
function needsNoBudget({ metadata, status }: PodObject): boolean {
  return Boolean(metadata?.deletionTimestamp) || ['Succeeded', 'Failed', 'Pending'].includes(status?.phase ?? '');
}

function isReady({ status }: PodObject): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}

/** unhealthyPodEvictionPolicy (KEP-3017). */
function mayGoUnhealthy({ spec, status }: DisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function budgetsOf(context: VerbContext, { metadata }: PodObject): DisruptionBudget[] {
  const found: DisruptionBudget[] = [];
  for (const object of readerOf(context).list(resources.poddisruptionbudgets, metadata?.namespace)) {
    const { spec } = object as DisruptionBudget;
    if (spec?.selector && matchesLabels(fromLabelSelectorObject(spec.selector), metadata?.labels)) {
      found.push(object as DisruptionBudget);
    }
  }
  return found;
}

function takeOne(current: DisruptionBudget & Stored, pod: PodObject, nowMs: number): Stored {
  const budget = copyOf(current);
  const status = budget.status!;
  const name = budget.metadata.name ?? '';
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    const message = `The disruption budget ${name} is still being processed by the server.`;
    throw tooMany(message, retryWhileBehindSeconds);
  }
  if (status.disruptionsAllowed < 0) {
    throw forbidden(resources.poddisruptionbudgets, name, 'pdb disruptions allowed is negative');
  }
  if (Object.keys(status.disruptedPods ?? {}).length > maxDisruptedPods) {
    const why = 'DisruptedPods map too big - too many evictions not confirmed by PDB controller';
    throw forbidden(resources.poddisruptionbudgets, name, why);
  }
  if (status.disruptionsAllowed === 0) {
    const { desiredHealthy, currentHealthy } = status;
    throw tooMany(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  }
  status.disruptionsAllowed -= 1;
  if (status.disruptionsAllowed === 0) {
    for (const condition of status.conditions ?? []) {
      if (condition.type !== 'DisruptionAllowed') continue;
      Object.assign(condition, { status: 'False', reason: 'InsufficientPods', lastTransitionTime: toTime(nowMs) });
    }
  }
  status.disruptedPods = { ...status.disruptedPods, [pod.metadata?.name ?? '']: toTime(nowMs) };
  return budget;
}

function tooMany(message: string, retryAfterSeconds?: number): SampanError {
  const causes = [{ reason: 'DisruptionBudget', message }];
  return new SampanError('TooManyRequests', refusal, { causes, ...(retryAfterSeconds && { retryAfterSeconds }) });
}
