/**
 * The loop of every Pod on the node: look, decide, act, say. Level-based: whatever wakes a Pod's worker, it looks at all of the Pod anew.
 *
 *   API object, runtime event, probe result, step done, time ──▶ queue(uid) ──▶ observe ──▶ decide ──▶ steps (in the background)
 *                                                                                   └──▶ status ──▶ status writer
 *
 * A worker never waits for a step: it starts it and is woken when it is done, so that a Pod is deleted while its image is still pulled.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { WorkQueue } from '../base/work-queue.ts';
import type { NodeContext } from './act/context.ts';
import { perform, type Seen } from './act/perform.ts';
import { refreshVolumes } from './act/prepare-volumes.ts';
import { hurries } from './act/stop-container.ts';
import { pressureRefusal, refusalOf } from './decide/admission.ts';
import { decide } from './decide/decide.ts';
import { lostRuns } from './decide/lost-runs.ts';
import { type Action, type Decision, earliest, isTerminalPhase, keyOf, type PodView } from './decide/model.ts';
import type { ReferencedObjects } from './objects/referenced-objects.ts';
import type { Observer } from './observe.ts';
import type { PodState } from './pod-state.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import { computeStatus, isStopped } from './status/compute-status.ts';
import { defaultSizeCondition, tellDefaultSize } from './status/default-size.ts';
import { evictionCondition } from './status/eviction-condition.ts';
import { standstillCondition, tellStandstill } from './status/standstill.ts';
import type { StatusWriter } from './status-writer.ts';

export interface PodWorkersOptions {
  context: NodeContext;
  observer: Observer;
  references: ReferencedObjects;
  probes: ProbeManager;
  statuses: StatusWriter;
  /** Told when nothing of a Pod is left on the node. */
  onFinished: (state: PodState) => void;
}

/** A step that failed is decided upon again after this. */
const retryMs = 1000;
const volumesRetryMs = 10_000;

export class PodWorkers {
  readonly #options: PodWorkersOptions;
  readonly #queue: WorkQueue;
  readonly #states = new Map<string, PodState>();
  readonly #steps = new Set<Promise<void>>();
  #closed = false;

  constructor(options: PodWorkersOptions) {
    this.#options = options;
    const { clock, log } = options.context;
    this.#queue = new WorkQueue({ work: (uid) => this.#sync(uid), log, clock, maxDelayMs: 10_000 });
  }

  get(uid: string): PodState | undefined {
    return this.#states.get(uid);
  }

  all(): PodState[] {
    return [...this.#states.values()];
  }

  add(state: PodState): void {
    this.#admit(state);
    this.#states.set(state.uid, state);
    this.wake(state.uid);
  }

  /** A Pod that this node has never begun with may not be welcome, or not fit: who bound it did not ask the scheduler. */
  #admit(state: PodState): void {
    const { metadata, status } = state.object;
    if (state.gone || status?.startTime || metadata?.deletionTimestamp) return;
    const { capacity, clock, events, disk } = this.#options.context;
    // The scheduler has given away the room of what is no longer in the API, though its machine may take another moment.
    const others = this.all().filter((other) => !other.finished && !other.gone);
    const refusal =
      pressureRefusal(state.object, disk.isHigh ? ['DiskPressure'] : []) ??
      refusalOf(
        state.object,
        others.map((other) => other.pod),
        capacity,
      );
    if (!refusal) return;
    state.eviction = { ...refusal, atMs: clock.now(), disrupted: false };
    events.pod(state.object, 'Warning', refusal.reason, refusal.message);
  }

  drop(uid: string): void {
    this.#states.delete(uid);
  }

  wake(uid: string): void {
    if (this.#states.has(uid)) this.#queue.add(uid);
  }

  /** Brings the Pod's volumes up to date: something they show has changed. */
  refresh(uid: string): void {
    const state = this.#states.get(uid);
    if (!state) return;
    // What waited for an object may go on now.
    for (const failure of state.startFailures.values()) failure.retryAtMs = 0;
    if (state.volumesInUse) this.#refreshVolumes(state);
    else this.wake(uid);
  }

  #refreshVolumes(state: PodState): void {
    const { clock, log } = this.#options.context;
    refreshVolumes(this.#options.context, state).then(
      () => this.wake(state.uid),
      (error) => {
        log.warn({ uid: state.uid, error: messageOf(error) }, 'volumes not brought up to date, will be tried again');
        if (state.volumesInUse) state.volumesRefreshAtMs = clock.now() + volumesRetryMs;
        this.wake(state.uid);
      },
    );
  }

  /** Decides nothing more and waits for what cannot be left half-way in this process. Pods go on. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue.close();
    for (const state of this.#states.values()) {
      state.abortStarts();
      for (const stop of state.stops.values()) stop.hurry.abort(new Error('the server is closing'));
    }
  }

  async #sync(uid: string): Promise<void> {
    const state = this.#states.get(uid);
    if (!state || state.finished || this.#closed) return;
    const seen = await this.#observe(state);
    const decision = decide(this.#view(state, seen));
    if (decision.ending) state.abortStarts();
    for (const [name, waiting] of decision.waiting) this.#keepWaiting(state, name, waiting);
    for (const action of decision.actions) this.#begin(state, action, seen);
    this.#keepTrue(state, seen, decision);
    this.#probe(state, seen, decision);
    this.#say(state, seen, decision);
    this.#wakeAt(state, decision);
    for (const told of state.watchers) told();
  }

  async #observe(state: PodState): Promise<Seen> {
    const { sandboxes, containers } = await this.#options.observer.observe(state.object);
    return { sandboxes, containers: [...containers, ...lostRuns(state.pod, containers)] };
  }

  #view(state: PodState, seen: Seen): PodView {
    return {
      ...seen,
      pod: state.pod,
      ...(state.gone ? { gone: state.gone } : {}),
      ...(state.eviction ? { eviction: state.eviction } : {}),
      ...(state.sandboxFailure ? { sandboxFailure: state.sandboxFailure } : {}),
      probes: this.#options.probes.results(state.uid),
      startFailures: state.startFailures,
      busy: new Set(state.busy.keys()),
      finalStatusWritten: state.finalStatusWritten,
      cleanedUp: state.cleanedUp,
      nowMs: this.#options.context.clock.now(),
    };
  }

  /** A container that is kept back says so once for each time it is. */
  #keepWaiting(state: PodState, name: string, waiting: { reason: string; message: string }): void {
    if (state.waiting.get(name)?.message === waiting.message) return;
    state.waiting.set(name, waiting);
    const { name: pod, namespace, uid } = state.object.metadata ?? {};
    const message = `Back-off restarting failed container ${name} in pod ${pod}_${namespace}(${uid})`;
    this.#options.context.events.container(state.pod, name, { type: 'Warning', reason: 'BackOff', message });
  }

  #begin(state: PodState, action: Action, seen: Seen): void {
    const key = keyOf(action);
    const running = state.busy.get(key);
    // Only a stop is begun again while it is under way: to hurry it.
    if (running && !(action.type === 'stopContainer' && hurries(this.#options.context, state, action))) return;
    const controller = running ?? new AbortController();
    state.busy.set(key, controller);
    const step = this.#step(state, { action, seen, signal: controller.signal }).finally(() => {
      if (!running) state.busy.delete(key);
      this.#steps.delete(step);
      if (action.type === 'finish' && state.finished) this.#finished(state);
      else this.wake(state.uid);
    });
    this.#steps.add(step);
  }

  async #step(state: PodState, input: { action: Action; seen: Seen; signal: AbortSignal }): Promise<void> {
    const { context } = this.#options;
    try {
      await perform(context, state, input);
    } catch (error) {
      if (this.#closed) return;
      const { name, namespace, uid } = state.object.metadata ?? {};
      context.log.warn(
        { pod: `${namespace}/${name}`, uid, step: keyOf(input.action), error: messageOf(error) },
        `${input.action.type} failed, will be tried again`,
      );
      await context.clock.sleep(retryMs);
    }
  }

  #finished(state: PodState): void {
    const { probes, observer, statuses, references, context } = this.#options;
    references.release(state.uid);
    context.images.forget(state.uid);
    probes.forget(state.uid);
    observer.forget(state.uid);
    statuses.forget(state.uid);
    if (state.gone) this.drop(state.uid);
    this.#options.onFinished(state);
  }

  /** What a Pod refers to is watched from when it runs, or waits for it; not before, as that would slow its start. */
  #keepTrue(state: PodState, seen: Seen, { ending }: Decision): void {
    const runs = seen.containers.some((record) => record.state === 'running');
    if (ending || !(runs || state.startFailures.size > 0)) return;
    if (runs && !state.volumesInUse) this.#refreshVolumes(state);
    if (state.retained === state.object) return;
    state.retained = state.object;
    this.#options.references.retain(state.object);
  }

  #probe(state: PodState, seen: Seen, decision: Decision): void {
    this.#options.probes.sync({
      pod: state.pod,
      containers: seen.containers,
      podIPs: seen.sandboxes.find((sandbox) => sandbox.ready)?.ips ?? [],
      starting: (name) => state.busy.has(`start:${name}`),
      ending: decision.ending !== undefined,
    });
  }

  #say(state: PodState, seen: Seen, { ending }: Decision): void {
    if (state.gone || state.finished) return;
    const { context, statuses } = this.#options;
    const view = this.#view(state, seen);
    const sandbox = seen.sandboxes.find(({ ready }) => ready);
    tellStandstill(state, sandbox, context.events);
    const status = computeStatus({
      view,
      waiting: state.waiting,
      ...(ending ? { ending } : {}),
      hostIPs: context.hostIPs,
      extraConditions: [
        ...defaultSizeCondition(state.pod),
        ...evictionCondition(state),
        ...standstillCondition(state, sandbox),
      ],
    });
    state.said = status;
    tellDefaultSize(state, context.events);
    statuses.set(state.object, status);
    if (ending && isStopped(view) && isTerminalPhase(status.phase) && !state.finalStatusWritten) this.#sayLast(state);
  }

  /** The Pod's object may go only when its last word stands in it. */
  #sayLast(state: PodState): void {
    const { statuses } = this.#options;
    statuses.flush(state.uid).then(() => {
      state.finalStatusWritten = true;
      this.wake(state.uid);
    });
  }

  #wakeAt(state: PodState, decision: Decision): void {
    const { clock } = this.#options.context;
    const nowMs = clock.now();
    if (state.volumesRefreshAtMs !== undefined && state.volumesRefreshAtMs <= nowMs) {
      state.volumesRefreshAtMs = undefined;
      if (state.volumesInUse) this.#refreshVolumes(state);
    }
    const atMs = earliest(decision.wakeAtMs, state.volumesRefreshAtMs);
    if (atMs === undefined) return;
    if (state.wakeAtMs !== undefined && state.wakeAtMs > nowMs && state.wakeAtMs <= atMs) return;
    state.wakeAtMs = atMs;
    this.#queue.addAfter(state.uid, Math.max(1, atMs - nowMs));
  }
}
