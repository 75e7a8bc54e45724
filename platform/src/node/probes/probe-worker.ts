/**
 * Probes one container in one way, for as long as it runs: delays, periods and thresholds.
 *
 *   (startup passed) ── initialDelay ──▶ probe ──▶ count in a row ── threshold reached ──▶ result ── period ──▶ probe ...
 *   A startup probe ends with its first result; a liveness probe with a failure: the container is stopped then.
 */
import type { Pod, Probe } from 'kubernetes-types/core/v1.js';
import type { ProbeKind, ProbeResult } from '../decide/model.ts';
import type { PodEvents } from '../pod-events.ts';
import type { Outcome } from './outcome.ts';
import { type ProbeInput, runProbe } from './run-probe.ts';

export interface WorkerOptions {
  kind: ProbeKind;
  pod: Pod;
  input: ProbeInput;
  startedAtMs: number;
  /** Known from before this server started, so that a restart does not make a Pod unready. */
  initial?: ProbeResult;
  /** Spreads the first probes of many containers after a restart. */
  jitterMs: number;
  events: PodEvents;
  onResult: (result: ProbeResult) => void;
}

/** An error in making the probe is tried again at once so often. */
const attempts = 3;

export class ProbeWorker {
  readonly #options: WorkerOptions;
  readonly #stop = new AbortController();
  #result: ProbeResult | undefined;
  #last: ProbeResult | undefined;
  #inARow = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#result = options.initial;
  }

  get result(): ProbeResult | undefined {
    return this.#result;
  }

  /** Ends when the probe has nothing more to say, or at stop. Never throws. */
  async run(): Promise<void> {
    const { kind, input, startedAtMs, jitterMs } = this.#options;
    if (kind === 'startup' && this.#result === 'success') return;
    const { clock, probe } = input;
    const firstAtMs = startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000;
    if (!(await this.#sleep(Math.max(0, firstAtMs - clock.now()) + jitterMs))) return;
    for (;;) {
      const outcome = await this.#probe();
      if (this.#stop.signal.aborted) return;
      if (this.#count(outcome)) return;
      if (!(await this.#sleep((probe.periodSeconds || 10) * 1000))) return;
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  async #probe(): Promise<Outcome> {
    let outcome = await runProbe(this.#options.input);
    for (let attempt = 1; attempt < attempts && outcome.result === 'unknown'; attempt++) {
      if (this.#stop.signal.aborted) return outcome;
      outcome = await runProbe(this.#options.input);
    }
    if (!this.#stop.signal.aborted) this.#tell(outcome);
    return outcome;
  }

  /** True when the worker has nothing more to do. */
  #count(outcome: Outcome): boolean {
    if (outcome.result === 'unknown') return false;
    const { kind, input, onResult } = this.#options;
    const result = outcome.result === 'failure' ? 'failure' : 'success';
    this.#inARow = result === this.#last ? this.#inARow + 1 : 1;
    this.#last = result;
    if (this.#inARow < threshold(input.probe, result)) return false;
    if (this.#result !== result) {
      this.#result = result;
      onResult(result);
    }
    return kind === 'startup' || (kind === 'liveness' && result === 'failure');
  }

  #tell({ result, output }: Outcome): void {
    if (result === 'success') return;
    const { events, pod, input, kind } = this.#options;
    const title = kind[0]!.toUpperCase() + kind.slice(1);
    const words = { failure: 'failed', warning: 'warning', unknown: 'errored and resulted in unknown state' }[result];
    const reason = result === 'warning' ? 'ProbeWarning' : 'Unhealthy';
    events.container(pod, input.container.name, {
      type: 'Warning',
      reason,
      message: `${title} probe ${words}: ${output}`,
    });
  }

  /** False when stopped. */
  async #sleep(ms: number): Promise<boolean> {
    if (this.#stop.signal.aborted) return false;
    if (ms <= 0) return true;
    return this.#options.input.clock.sleep(ms, this.#stop.signal).then(
      () => true,
      () => false,
    );
  }
}

const threshold = (probe: Probe, result: ProbeResult): number =>
  (result === 'success' ? probe.successThreshold : probe.failureThreshold) || (result === 'success' ? 1 : 3);
