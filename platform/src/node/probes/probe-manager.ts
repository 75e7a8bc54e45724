/** All probes of the node's Pods: which containers are probed, and what came of it. Level-based: told what runs, it starts and stops workers. */
import type { Container, ContainerStatus, Pod } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import {
  type ContainerRecord,
  initContainers,
  isSidecar,
  latestRun,
  type ProbeKind,
  type ProbeResult,
  type ProbeResults,
  specOf,
} from '../decide/model.ts';
import type { PodEvents } from '../pod-events.ts';
import { containerIdOf } from '../status/container-status.ts';
import { ProbeWorker } from './probe-worker.ts';

export interface ProbeManagerOptions {
  runtime: Runtime;
  clock: Clock;
  events: PodEvents;
  /** Told the Pod's uid when a result changed. */
  onChange: (uid: string) => void;
}

interface Probed {
  workers: Map<ProbeKind, ProbeWorker>;
  results: Partial<Record<ProbeKind, ProbeResult>>;
}

export interface ProbedPod {
  pod: Pod;
  containers: ContainerRecord[];
  podIPs: string[];
  /** Names of containers whose start is not through: they are not probed yet. */
  starting: (name: string) => boolean;
  /** The Pod is ending: only readiness is still looked at. */
  ending: boolean;
}

const none: ProbeResults = new Map();

export class ProbeManager {
  readonly #options: ProbeManagerOptions;
  readonly #startedAtMs: number;
  /** By Pod uid, then container id. */
  readonly #probed = new Map<string, Map<string, Probed>>();

  constructor(options: ProbeManagerOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now();
  }

  results(uid: string): ProbeResults {
    const ofPod = this.#probed.get(uid);
    return ofPod ? new Map([...ofPod].map(([id, { results }]) => [id, results])) : none;
  }

  sync(probed: ProbedPod): void {
    const uid = probed.pod.metadata?.uid ?? '';
    const ofPod = this.#probed.get(uid) ?? new Map<string, Probed>();
    const running = new Set<string>();
    for (const container of [...specOf(probed.pod).containers, ...initContainers(probed.pod).filter(isSidecar)]) {
      const record = latestRun(probed.containers, container.name);
      if (record?.state !== 'running' || probed.starting(container.name)) continue;
      if (!container.startupProbe && !container.readinessProbe && !container.livenessProbe) continue;
      running.add(record.id);
      const state = ofPod.get(record.id) ?? { workers: new Map(), results: {} };
      ofPod.set(record.id, state);
      this.#startWorkers(probed, { container, record, state });
    }
    for (const [id, state] of ofPod) {
      if (running.has(id)) continue;
      stopAll(state);
      ofPod.delete(id);
    }
    if (ofPod.size > 0) this.#probed.set(uid, ofPod);
    else this.#probed.delete(uid);
  }

  forget(uid: string): void {
    for (const state of this.#probed.get(uid)?.values() ?? []) stopAll(state);
    this.#probed.delete(uid);
  }

  close(): void {
    for (const uid of [...this.#probed.keys()]) this.forget(uid);
  }

  #startWorkers(
    probed: ProbedPod,
    { container, record, state }: { container: Container; record: ContainerRecord; state: Probed },
  ): void {
    const known = knownResults(probed.pod, record);
    const probes = {
      startup: container.startupProbe,
      readiness: container.readinessProbe,
      liveness: container.livenessProbe,
    };
    for (const kind of ['startup', 'readiness', 'liveness'] as const) {
      const probe = probes[kind];
      if (probed.ending && kind !== 'readiness') {
        state.workers.get(kind)?.stop();
        continue;
      }
      const started = !container.startupProbe || state.results.startup === 'success';
      if (!probe || state.workers.has(kind) || (kind !== 'startup' && !started)) continue;
      const initial = known[kind];
      if (initial) state.results[kind] = initial;
      const { runtime, clock, events } = this.#options;
      const worker = new ProbeWorker({
        kind,
        pod: probed.pod,
        input: { container, probe, containerId: record.id, podIPs: probed.podIPs, runtime, clock },
        startedAtMs: record.startedAtMs,
        ...(initial ? { initial } : {}),
        jitterMs: this.#jitter(record, probe.periodSeconds || 10),
        events,
        onResult: (result) => {
          state.results[kind] = result;
          this.#options.onChange(probed.pod.metadata?.uid ?? '');
        },
      });
      state.workers.set(kind, worker);
      void worker.run();
    }
  }

  /** Containers that ran before this server did are not all probed at once. */
  #jitter(record: ContainerRecord, periodSeconds: number): number {
    return record.startedAtMs < this.#startedAtMs ? Math.floor(Math.random() * periodSeconds * 1000) : 0;
  }
}

/** What the Pod's status in the API says of this very run: believed until the probes say otherwise. */
function knownResults(pod: Pod, record: ContainerRecord): Partial<Record<ProbeKind, ProbeResult>> {
  const all: ContainerStatus[] = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
  ];
  const status = all.find((one) => one.name === record.name && one.containerID === containerIdOf(record));
  return {
    ...(status?.started ? { startup: 'success' as const } : {}),
    ...(status?.ready ? { readiness: 'success' as const } : {}),
  };
}

function stopAll({ workers }: Probed): void {
  for (const worker of workers.values()) worker.stop();
}
