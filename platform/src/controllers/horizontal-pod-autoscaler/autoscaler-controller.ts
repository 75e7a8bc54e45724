/**
 * Scales workloads by how busy their Pods are. Owns the effects and the history of each autoscaler (in memory: after a restart its windows begin anew with
 * the replicas there are); what to do is decided in autoscaler-decision.ts. Measures every 15 seconds, as kube-controller-manager does.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Autoscaler } from '@sampan/api/kinds/autoscaling/horizontal-pod-autoscaler.ts';
import { matchesLabels, parseLabelSelector } from '@sampan/api/selectors/label-selector.ts';
import { toTime } from '../../base/clock.ts';
import { createEventRecorder, type EventRecorder, type EventType } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { Alarms } from '../alarms.ts';
import { type ControllerParts, keyOf, splitKey, unlessOutdated } from '../controller-options.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { readScale, type ScaleObject } from '../scale-targets.ts';
import { type Conditions, conditionSetter, decideScale, type ScaleDecision } from './autoscaler-decision.ts';
import { type PodMetrics, podMetricsRef } from './pod-metrics.ts';
import type { ScaleHistory } from './scaling-limits.ts';

export interface AutoscalerControllerOptions extends ControllerParts {
  /** Between two measurements; 15 seconds when absent. */
  periodMs?: number;
}

const type = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' };
const defaultPeriodMs = 15_000;
/** The longest window or period that validation lets through. */
const rememberMs = 3_600_000;

export class AutoscalerController {
  readonly #options: AutoscalerControllerOptions;
  readonly #client: KubeClient;
  readonly #scalers: SharedInformer<Autoscaler>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #queue: WorkQueue;
  readonly #alarms: Alarms;
  readonly #events: EventRecorder;
  readonly #histories = new Map<string, ScaleHistory>();

  constructor(options: AutoscalerControllerOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#scalers = options.informers.of<Autoscaler>(resources.horizontalpodautoscalers);
    this.#pods = options.informers.of<PodObject>(resources.pods);
    this.#queue = new WorkQueue({ ...options, work: (key) => this.#sync(key) });
    this.#alarms = new Alarms(options.clock, (key) => this.#queue.add(key));
    this.#events = createEventRecorder({ ...options, component: 'horizontal-pod-autoscaler' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#scalers.start(), this.#pods.start()]);
    this.#scalers.subscribe(({ type: change, object, previous }) => {
      if (change === 'removed') this.#histories.delete(object.metadata?.uid ?? '');
      // Its own status comes back too; only what it is told to do counts.
      else if (!previous || !equalJson(previous.spec, object.spec)) this.#queue.add(keyOf(object));
    });
  }

  async close(): Promise<void> {
    this.#alarms.close();
    await this.#queue.close();
    await this.#events.flush();
  }

  async #sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const scaler = this.#scalers.get(name, namespace);
    if (!scaler || scaler.metadata?.deletionTimestamp) return;
    const { clock, periodMs = defaultPeriodMs } = this.#options;
    this.#alarms.set(key, clock.now() + periodMs);
    const { apiVersion = '', kind, name: targetName } = scaler.spec!.scaleTargetRef;
    let target: Awaited<ReturnType<typeof readScale>>;
    try {
      target = await readScale(this.#client, { apiVersion, kind, name: targetName, namespace });
    } catch (error) {
      const message = messageOf(error);
      this.#tell(scaler, 'Warning', 'FailedGetScale', message);
      const why = `the HPA controller was unable to get the target's current scale: ${message}`;
      return this.#fail(scaler, 'AbleToScale', 'FailedGetScale', why);
    }
    await this.#follow(scaler, target);
  }

  async #follow(
    scaler: Autoscaler,
    target: { ref: Parameters<KubeClient['get']>[0]; scale: ScaleObject },
  ): Promise<void> {
    const { scale } = target;
    const selector = scale.status?.selector ?? '';
    if (!selector) {
      this.#tell(scaler, 'Warning', 'SelectorRequired', 'selector is required');
      return this.#fail(scaler, 'ScalingActive', 'InvalidSelector', "the HPA target's scale is missing a selector");
    }
    const nowMs = this.#options.clock.now();
    const currentReplicas = scale.spec?.replicas ?? 0;
    const history = this.#historyOf(scaler, currentReplicas, nowMs);
    const namespace = scaler.metadata?.namespace ?? '';
    const requirements = parseLabelSelector(selector);
    const pods = this.#pods.list(namespace).filter(({ metadata }) => matchesLabels(requirements, metadata?.labels));
    const metrics = await this.#metrics(namespace, selector);
    const decision = decideScale({ scaler, currentReplicas, pods, metrics, history, nowMs });
    if (decision.recommendation !== undefined)
      history.recommendations.push({ atMs: nowMs, replicas: decision.recommendation });
    if (decision.failure) {
      const { reason, message } = decision.failure;
      this.#tell(scaler, 'Warning', reason, message);
      this.#tell(scaler, 'Warning', 'FailedComputeMetricsReplicas', message);
    }
    const hasScaled = await this.#rescale({ scaler, target, decision, currentReplicas });
    await this.#writeStatus(scaler, {
      currentReplicas: scale.status?.replicas ?? 0,
      desiredReplicas: decision.desired ?? currentReplicas,
      ...(decision.metrics.length > 0 && { currentMetrics: decision.metrics }),
      conditions: hasScaled?.conditions ?? decision.conditions,
      ...(hasScaled?.isDone
        ? { lastScaleTime: toTime(nowMs) }
        : scaler.status?.lastScaleTime && { lastScaleTime: scaler.status.lastScaleTime }),
    });
  }

  async #metrics(namespace: string, labelSelector: string): Promise<PodMetrics[] | Error> {
    try {
      return (await this.#client.list<PodMetrics>(podMetricsRef, { namespace, labelSelector })).items;
    } catch (error) {
      return error instanceof Error ? error : new SampanError('InternalError', messageOf(error));
    }
  }

  /** Undefined when nothing had to change. */
  async #rescale(options: Rescale): Promise<{ isDone: boolean; conditions: Conditions } | undefined> {
    const { scaler, target, decision, currentReplicas } = options;
    const { desired, why, conditions } = decision;
    if (desired === undefined || desired === currentReplicas) return undefined;
    const nowMs = this.#options.clock.now();
    const set = conditionSetter({ ...scaler, status: { desiredReplicas: 0, conditions } }, nowMs);
    const size = `New size: ${desired}; reason: ${why}`;
    try {
      const scale = { ...target.scale, spec: { replicas: desired } };
      await this.#client.update(target.ref, scale, { subresource: 'scale' });
    } catch (error) {
      const message = messageOf(error);
      this.#tell(scaler, 'Warning', 'FailedRescale', `${size}; error: ${message}`);
      set(
        'AbleToScale',
        'False',
        'FailedUpdateScale',
        `the HPA controller was unable to update the target scale: ${message}`,
      );
      return { isDone: false, conditions: set.conditions() };
    }
    this.#tell(scaler, 'Normal', 'SuccessfulRescale', size);
    set(
      'AbleToScale',
      'True',
      'SucceededRescale',
      `the HPA controller was able to update the target scale to ${desired}`,
    );
    const history = this.#historyOf(scaler, currentReplicas, nowMs);
    const change = { atMs: nowMs, replicas: Math.abs(desired - currentReplicas) };
    (desired > currentReplicas ? history.up : history.down).push(change);
    return { isDone: true, conditions: set.conditions() };
  }

  async #fail(scaler: Autoscaler, condition: string, reason: string, message: string): Promise<void> {
    const set = conditionSetter(scaler, this.#options.clock.now());
    set(condition, 'False', reason, message);
    await this.#writeStatus(scaler, { ...scaler.status!, conditions: set.conditions() });
  }

  async #writeStatus(scaler: Autoscaler, status: NonNullable<Autoscaler['status']>): Promise<void> {
    if (equalJson(status, scaler.status)) return;
    const next = { ...scaler, status };
    await unlessOutdated(this.#client.update(resources.horizontalpodautoscalers, next, { subresource: 'status' }));
  }

  #historyOf({ metadata }: Autoscaler, currentReplicas: number, nowMs: number): ScaleHistory {
    const uid = metadata?.uid ?? '';
    const known = this.#histories.get(uid);
    const history = known ?? { recommendations: [{ atMs: nowMs, replicas: currentReplicas }], up: [], down: [] };
    for (const list of ['recommendations', 'up', 'down'] as const) {
      history[list] = history[list].filter(({ atMs }) => atMs > nowMs - rememberMs);
    }
    this.#histories.set(uid, history);
    return history;
  }

  #tell({ metadata }: Autoscaler, kind: EventType, reason: string, message: string): void {
    const { name, namespace, uid, resourceVersion } = metadata ?? {};
    this.#events.event({ ...type, name, namespace, uid, resourceVersion }, kind, reason, message);
  }
}

interface Rescale {
  scaler: Autoscaler;
  target: { ref: Parameters<KubeClient['get']>[0]; scale: ScaleObject };
  decision: ScaleDecision;
  currentReplicas: number;
}
