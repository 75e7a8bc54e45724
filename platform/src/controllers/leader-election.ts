/**
 * Leader election by Lease, as client-go's leaderelection does it: of several servers over one store, one runs the controllers.
 *
 *   compete ──lease free, or not renewed for its duration──▶ lead (controllers run, renewed every retry period)
 *      ▲                                                       │ not renewed within the deadline, or taken by another
 *      └──────────────── controllers closed ◀──────────────────┘
 *   close(): controllers closed, then the lease is released, so that the next one need not wait.
 *
 * Owns: who leads, and that who no longer leads writes nothing (fence). Does not own: what controllers do. Other servers' clocks are never
 * trusted: a lease has run out when it was not seen to change for its duration by our own monotonic clock.
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import { type Clock, systemClock, toMicroTime } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

export interface ElectionTiming {
  /** A lease that was not renewed for so long may be taken. */
  leaseMs: number;
  /** A leader that could not renew for so long stops; less than `leaseMs`. */
  renewDeadlineMs: number;
  /** How often a leader renews, and others look. */
  retryMs: number;
}

/** A killed leader is replaced within leaseMs and two retries. */
const defaultTiming: ElectionTiming = { leaseMs: 8_000, renewDeadlineMs: 5_500, retryMs: 1_000 };

export interface LeaderElectionOptions {
  client: KubeClient;
  log: Logger;
  clock?: Clock;
  /** Unlike every other candidate's, and new with each process. */
  identity: string;
  lease: { name: string; namespace: string };
  timing?: ElectionTiming;
  /** Called at the start of each term; `start` may go on while the term ends, `close` must end it. */
  lead: () => { start(): Promise<void>; close(): Promise<void> };
}

type StoredLease = Lease & KubeObject;

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #timing: ElectionTiming;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** As last read or written, and when it was first seen so. */
  #seen: StoredLease | undefined;
  #seenAtMs = 0;
  /** When the last renewal that succeeded was begun; undefined: not leading. */
  #renewedAtMs: number | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = options.timing ?? defaultTiming;
  }

  /** Nobody else may lead yet. */
  get holds(): boolean {
    return this.#renewedAtMs !== undefined && this.#clock.monotonicMs() < this.#renewedAtMs + this.#timing.leaseMs;
  }

  /** Begins to compete; does not wait for the outcome. */
  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** `client`, whose writes are refused with FailedPrecondition unless we lead: also those of a process that was stopped and goes on. */
  fence(client: KubeClient): KubeClient {
    const held = async () => {
      if (!this.holds) throw new SampanError('FailedPrecondition', `${this.#options.identity} does not lead any more`);
    };
    return {
      get: (...args) => client.get(...args),
      list: (...args) => client.list(...args),
      watch: (...args) => client.watch(...args),
      create: (...args) => held().then(() => client.create(...args)),
      update: (...args) => held().then(() => client.update(...args)),
      patch: (...args) => held().then(() => client.patch(...args)),
      delete: (...args) => held().then(() => client.delete(...args)),
    };
  }

  async #run(): Promise<void> {
    const { log, identity, lead } = this.#options;
    while (!this.#stop.signal.aborted) {
      if (!(await this.#attempt())) {
        await this.#pause(this.#untilNextAttemptMs());
        continue;
      }
      log.info({ identity }, 'leads');
      const term = lead();
      const started = term.start().catch((error) => log.error({ error: messageOf(error) }, 'controllers do not start'));
      await this.#keep();
      await term.close();
      await started;
      if (this.#stop.signal.aborted) await this.#release();
      else log.warn({ identity }, 'lost the lease, controllers are stopped');
      this.#renewedAtMs = undefined;
    }
  }

  /** Renews until it cannot, or is told to stop. */
  async #keep(): Promise<void> {
    const { renewDeadlineMs, retryMs } = this.#timing;
    const leftMs = () => this.#renewedAtMs! + renewDeadlineMs - this.#clock.monotonicMs();
    for (;;) {
      await this.#pause(Math.min(retryMs, leftMs()));
      if (this.#stop.signal.aborted || leftMs() <= 0) return;
      // A request may hang for longer than is left.
      const timer = new AbortController();
      const late = this.#clock.sleep(leftMs(), timer.signal).catch(() => {});
      await Promise.race([this.#attempt(), late]);
      timer.abort();
      if (leftMs() <= 0 || this.#isAnothers()) return;
    }
  }

  /** Takes or renews the lease. Never throws: false is "not now". */
  async #attempt(): Promise<boolean> {
    const beganMs = this.#clock.monotonicMs();
    try {
      const lease = this.#isMine() ? this.#seen : await this.#read();
      if (lease && this.#isHeldByAnother(lease)) return false;
      await this.#write(lease);
      this.#renewedAtMs = beganMs;
      return true;
    } catch (error) {
      if (isReason(error, 'Conflict', 'AlreadyExists', 'NotFound')) await this.#read().catch(() => {});
      else this.#options.log.warn({ error: messageOf(error) }, 'cannot take or renew the lease now');
      return false;
    }
  }

  async #read(): Promise<StoredLease | undefined> {
    const { name, namespace } = this.#options.lease;
    try {
      this.#observe(await this.#options.client.get<StoredLease>(resources.leases, name, namespace));
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      this.#seen = undefined;
    }
    return this.#seen;
  }

  async #write(current: StoredLease | undefined): Promise<void> {
    const { client, identity, lease } = this.#options;
    const now = toMicroTime(this.#clock.now());
    const { holderIdentity, acquireTime, leaseTransitions = 0 } = current?.spec ?? {};
    const isRenewal = holderIdentity === identity;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#timing.leaseMs / 1000),
      acquireTime: isRenewal && acquireTime ? acquireTime : now,
      renewTime: now,
      leaseTransitions: current && !isRenewal ? leaseTransitions + 1 : leaseTransitions,
    } as Lease['spec'];
    const written = current
      ? await client.update<StoredLease>(resources.leases, { ...current, spec })
      : await client.create<StoredLease>(resources.leases, { metadata: { ...lease }, spec }, lease);
    this.#observe(written);
  }

  /** After the controllers: the next leader starts at once. */
  async #release(): Promise<void> {
    if (!this.holds || !this.#seen) return;
    const spec = { ...this.#seen.spec, holderIdentity: '', leaseDurationSeconds: 1 };
    await this.#options.client
      .update<StoredLease>(resources.leases, { ...this.#seen, spec })
      .catch((error) => this.#options.log.warn({ error: messageOf(error) }, 'the lease could not be released'));
  }

  #observe(lease: StoredLease): void {
    if (lease.metadata?.resourceVersion === this.#seen?.metadata?.resourceVersion) return;
    this.#seen = lease;
    this.#seenAtMs = this.#clock.monotonicMs();
  }

  #isMine(): boolean {
    return this.#renewedAtMs !== undefined && this.#seen?.spec?.holderIdentity === this.#options.identity;
  }

  #isAnothers(): boolean {
    return this.#seen !== undefined && this.#isHeldByAnother(this.#seen);
  }

  #isHeldByAnother({ spec }: StoredLease): boolean {
    if (!spec?.holderIdentity || spec.holderIdentity === this.#options.identity) return false;
    return this.#clock.monotonicMs() < this.#seenAtMs + durationMs(spec);
  }

  #untilNextAttemptMs(): number {
    const runsOutMs = this.#seenAtMs + durationMs(this.#seen?.spec) - this.#clock.monotonicMs();
    return this.#isAnothers() ? Math.min(this.#timing.retryMs, runsOutMs) : this.#timing.retryMs;
  }

  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#stop.signal).catch(() => {});
  }
}

const durationMs = (spec: Lease['spec']): number => (spec?.leaseDurationSeconds ?? 0) * 1000;
