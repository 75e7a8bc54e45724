/**
 * Keeps the status of disruption budgets: how many of their Pods may be evicted now. Owns nothing else: the eviction itself asks that status and
 * takes from it (apiserver/actions/eviction.ts).
 */
import { resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { DisruptionBudget } from '@sampan/api/kinds/policy/pod-disruption-budget.ts';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { Alarms } from '../alarms.ts';
import { type ControllerParts, keyOf, splitKey, unlessOutdated } from '../controller-options.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import { controllerOf, type OwnerReference } from '../pods/controller-ref.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { readScale } from '../scale-targets.ts';
import { selectedBy } from '../selected-by.ts';
import { decideBudget, expectedOf, failedStatus, needsScale } from './budget-decision.ts';

const type = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' };

export class DisruptionController {
  readonly #parts: ControllerParts;
  readonly #budgets: SharedInformer<DisruptionBudget>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #queue: WorkQueue;
  readonly #alarms: Alarms;
  readonly #events: EventRecorder;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#budgets = parts.informers.of<DisruptionBudget>(resources.poddisruptionbudgets);
    this.#pods = parts.informers.of<PodObject>(resources.pods);
    this.#queue = new WorkQueue({ ...parts, work: (key) => this.#sync(key) });
    this.#alarms = new Alarms(parts.clock, (key) => this.#queue.add(key));
    this.#events = createEventRecorder({ ...parts, component: 'controllermanager' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#budgets.start(), this.#pods.start()]);
    this.#budgets.subscribe(({ object }) => this.#queue.add(keyOf(object)));
    this.#pods.subscribe(({ object, previous }) => {
      for (const budget of this.#budgets.list(object.metadata?.namespace ?? '')) {
        if (selects(budget, object) || (previous && selects(budget, previous))) this.#queue.add(keyOf(budget));
      }
    });
  }

  async close(): Promise<void> {
    this.#alarms.close();
    await this.#queue.close();
    await this.#events.flush();
  }

  async #sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const budget = this.#budgets.get(name, namespace);
    if (!budget) return;
    const nowMs = this.#parts.clock.now();
    const pods = this.#pods.list(namespace).filter((pod) => selects(budget, pod));
    let total = 0;
    try {
      if (needsScale(budget)) total = await this.#scaleTotal(budget, pods);
    } catch (error) {
      const message = messageOf(error);
      const { status = '' } = budget.status?.conditions?.[0] ?? {};
      if (status !== 'False') this.#tell(budget, 'CalculateExpectedPodCountFailed', message);
      return this.#write(budget, failedStatus(budget, message, nowMs));
    }
    const expected = expectedOf(budget, pods.length, total);
    const { status, wakeAtMs } = decideBudget({ budget, pods, expected, nowMs });
    if (wakeAtMs !== undefined) this.#alarms.set(key, wakeAtMs);
    await this.#write(budget, status);
  }

  async #write(budget: DisruptionBudget, status: NonNullable<DisruptionBudget['status']>): Promise<void> {
    if (equalJson(status, budget.status)) return;
    const next = { ...budget, status };
    await unlessOutdated(this.#parts.client.update(resources.poddisruptionbudgets, next, { subresource: 'status' }));
  }

  /** Replicas wanted by all controllers of these Pods. Pods without one cannot be counted so, and the user is told. */
  async #scaleTotal(budget: DisruptionBudget, pods: PodObject[]): Promise<number> {
    const owners = new Map<string, OwnerReference>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (owner) owners.set(owner.uid, owner);
    }
    if (pods.some((pod) => !controllerOf(pod))) {
      this.#tell(
        budget,
        'UnmanagedPods',
        'Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.',
      );
    }
    const totals = new Map<string, number>();
    for (const owner of owners.values()) {
      const found = await this.#replicasOf(owner, budget.metadata?.namespace ?? '');
      if (found) totals.set(found.uid, found.replicas);
    }
    return [...totals.values()].reduce((sum, replicas) => sum + replicas, 0);
  }

  /** What the owner wants, or for a ReplicaSet of a Deployment what the Deployment wants. Undefined: it is gone. */
  async #replicasOf(owner: OwnerReference, namespace: string): Promise<{ uid: string; replicas: number } | undefined> {
    if (owner.kind === 'ReplicaSet' && owner.apiVersion.startsWith('apps/')) {
      const set = await unlessOutdated(this.#parts.client.get(resources.replicasets, owner.name, namespace));
      const above = set && controllerOf(set);
      if (above?.kind === 'Deployment') return this.#replicasOf(above, namespace);
    }
    try {
      const { scale } = await readScale(this.#parts.client, { ...owner, namespace });
      const { uid = '' } = scale.metadata ?? {};
      return uid === owner.uid ? { uid, replicas: scale.spec?.replicas ?? 0 } : undefined;
    } catch (error) {
      // The object itself is gone: it wants nothing. A kind that cannot be scaled is an error to show.
      if (isReason(error, 'NotFound') && error.details.name) return undefined;
      throw error;
    }
  }

  #tell({ metadata }: DisruptionBudget, reason: string, message: string): void {
    const { name, namespace, uid } = metadata ?? {};
    this.#events.event({ ...type, name, namespace, uid }, 'Warning', reason, message);
  }
}

const selects = (budget: DisruptionBudget, pod: PodObject): boolean =>
  selectedBy(budget.spec?.selector, pod.metadata?.labels);
