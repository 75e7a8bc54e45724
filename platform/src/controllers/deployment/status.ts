/** What a Deployment says of itself: counts, and the conditions that `kubectl rollout status` and dashboards read. Pure. */
import type { DeploymentCondition, DeploymentStatus } from 'kubernetes-types/apps/v1.js';
import { toTime } from '../../base/clock.ts';
import type { ReplicaSetObject } from '../replica-set/decide.ts';
import { type DeploymentObject, replicasOf, rollingBounds, sum } from './replica-sets.ts';

/** kubectl and controllers take this number for "no deadline". */
const noDeadline = 2_147_483_647;

export interface StatusView {
  deployment: DeploymentObject;
  current: ReplicaSetObject | undefined;
  old: ReplicaSetObject[];
  nowMs: number;
  /** Something particular that just happened: the current set was made or found, or could not be made. */
  news?: Pick<DeploymentCondition, 'status' | 'reason' | 'message'>;
  /** Neither paused nor being rescaled: progress is measured. */
  isRolling: boolean;
}

export function deploymentStatus(view: StatusView): DeploymentStatus {
  const { deployment, current, old } = view;
  const all = [...(current ? [current] : []), ...old];
  const available = sum(all, (set) => set.status?.availableReplicas ?? 0);
  const counts = {
    replicas: sum(all, (set) => set.status?.replicas ?? 0),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, replicasOf) - available),
  };
  const { collisionCount } = deployment.status ?? {};
  const status: DeploymentStatus = {
    observedGeneration: deployment.metadata?.generation,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
  const conditions = conditionsOf(view, status);
  return { ...status, ...(conditions.length > 0 && { conditions }) };
}

/** All Pods are of the current template and available. */
export function isComplete(deployment: DeploymentObject, status: DeploymentStatus): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, observedGeneration = 0 } = status;
  return (
    updatedReplicas === wanted &&
    replicas === wanted &&
    availableReplicas === wanted &&
    observedGeneration >= (deployment.metadata?.generation ?? 0)
  );
}

/** When a rollout that stands still will have missed its deadline; undefined when none is awaited. */
export function deadlineInMs({ spec }: DeploymentObject, status: DeploymentStatus, nowMs: number): number | undefined {
  const seconds = spec?.progressDeadlineSeconds ?? noDeadline;
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  if (seconds === noDeadline || !progressing || spec?.paused) return undefined;
  if (['NewReplicaSetAvailable', 'ProgressDeadlineExceeded'].includes(progressing.reason ?? '')) return undefined;
  return Math.max(0, Date.parse(String(progressing.lastUpdateTime)) + seconds * 1000 - nowMs) + 1000;
}

type News = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>;

function conditionsOf(view: StatusView, status: DeploymentStatus): DeploymentCondition[] {
  const { deployment, nowMs, news } = view;
  const list = new Conditions(deployment.status?.conditions ?? [], nowMs);
  const { progressDeadlineSeconds = noDeadline, paused = false } = deployment.spec ?? {};
  const measured = progressDeadlineSeconds !== noDeadline;
  if (!measured) list.remove('Progressing');
  if (measured) tellPause(list, paused);
  if (measured && news) list.set({ type: 'Progressing', ...news });
  const least = (deployment.spec?.replicas ?? 1) - rollingBounds(deployment).maxUnavailable;
  const hasLeast = (status.availableReplicas ?? 0) >= least;
  list.set({
    type: 'Available',
    status: hasLeast ? 'True' : 'False',
    reason: hasLeast ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: hasLeast ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
  });
  if (measured && view.isRolling) tellProgress(list, view, status);
  tellFailure(list, view);
  return list.all;
}

function tellPause(list: Conditions, paused: boolean): void {
  const reason = list.get('Progressing')?.reason;
  if (reason === 'ProgressDeadlineExceeded') return;
  if (paused && reason !== 'DeploymentPaused') {
    list.set({ type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' });
  }
  if (!paused && reason === 'DeploymentPaused') {
    list.set({ type: 'Progressing', status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' });
  }
}

function tellProgress(list: Conditions, { deployment, current, nowMs }: StatusView, status: DeploymentStatus): void {
  const subject = current ? `ReplicaSet "${current.metadata?.name}"` : `Deployment "${deployment.metadata?.name}"`;
  const now = list.get('Progressing');
  const type = 'Progressing';
  if (now?.reason === 'NewReplicaSetAvailable' && (status.replicas ?? 0) === (status.updatedReplicas ?? 0)) return;
  if (isComplete(deployment, status)) {
    const message = `${subject} has successfully progressed.`;
    list.set({ type, status: 'True', reason: 'NewReplicaSetAvailable', message });
  } else if (hasProgressed(deployment.status ?? {}, status)) {
    list.renew({ type, status: 'True', reason: 'ReplicaSetUpdated', message: `${subject} is progressing.` });
  } else if (now && now.reason !== 'NewReplicaSetAvailable' && isLate(deployment, now, nowMs)) {
    const message = `${subject} has timed out progressing.`;
    list.set({ type, status: 'False', reason: 'ProgressDeadlineExceeded', message });
  }
}

function isLate({ spec }: DeploymentObject, condition: DeploymentCondition, nowMs: number): boolean {
  if (condition.reason === 'ProgressDeadlineExceeded') return true;
  const since = Date.parse(String(condition.lastUpdateTime));
  return since + (spec?.progressDeadlineSeconds ?? noDeadline) * 1000 < nowMs;
}

/** More Pods of the current template, fewer of others, or more that are ready or available. */
function hasProgressed(before: DeploymentStatus, now: DeploymentStatus): boolean {
  const others = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus) => replicas - updatedReplicas;
  const more = (count: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas') =>
    (now[count] ?? 0) > (before[count] ?? 0);
  return more('updatedReplicas') || others(now) < others(before) || more('readyReplicas') || more('availableReplicas');
}

function tellFailure(list: Conditions, { current, old }: StatusView): void {
  const failures = [...(current ? [current] : []), ...old].flatMap((set) =>
    (set.status?.conditions ?? []).filter(({ type, status }) => type === 'ReplicaFailure' && status === 'True'),
  );
  const [first] = failures;
  if (first) list.set({ type: 'ReplicaFailure', status: 'True', reason: first.reason, message: first.message });
  else list.remove('ReplicaFailure');
}

/** Conditions by type; times move only when what they tell of does. */
class Conditions {
  all: DeploymentCondition[];
  readonly #at: string;

  constructor(before: readonly DeploymentCondition[], nowMs: number) {
    this.all = [...before];
    this.#at = toTime(nowMs);
  }

  get(type: string): DeploymentCondition | undefined {
    return this.all.find((condition) => condition.type === type);
  }

  remove(type: string): void {
    this.all = this.all.filter((condition) => condition.type !== type);
  }

  /** The same status for the same reason is no news. */
  set(news: News): void {
    const before = this.get(news.type);
    if (before?.status !== news.status || before.reason !== news.reason) this.renew(news);
  }

  /** News even when nothing but its time is new. */
  renew(news: News): void {
    const before = this.get(news.type);
    const lastTransitionTime = before?.status === news.status ? before.lastTransitionTime : this.#at;
    this.remove(news.type);
    this.all.push({ ...news, lastUpdateTime: this.#at, lastTransitionTime });
  }
}
