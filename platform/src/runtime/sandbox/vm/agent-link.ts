/**
 * The connection to a sandbox's agent over the sandbox's life.
 *
 *   connecting ──connected──▶ set up ──channel closed──▶ connecting (again) ──too often, or no answer──▶ lost
 *        └──────────────── the machine ended, close() ────────────────▶ closed
 *
 * Owns connecting, the setup call, the loop over events, reconnecting. Does not own what events mean (sandbox-watch.ts).
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import type { Agent, AgentEvent, ConnectAgent, SandboxSetup } from '../../agent/agent.ts';
import { Deferred } from '../../deferred.ts';

/** A cold boot of a busy machine without hardware virtualisation. */
const firstTimeoutMs = 180_000;
const againTimeoutMs = 20_000;
const breaksAllowed = 3;
const breaksWindowMs = 60_000;

export interface AgentLinkOptions {
  connect: ConnectAgent;
  channelPath: string;
  sandboxId: string;
  /** Called for each connection: entropy and time are fresh. */
  setup: () => SandboxSetup;
  /** A server before us may have spoken on the channel. */
  adopted: boolean;
  onEvent: (event: AgentEvent) => void;
  /** A connection that takes up what another had begun is set up: containers must be compared. */
  onResumed: (agent: Agent) => Promise<void>;
  onLost: (error: Error) => void;
  clock: Clock;
  log: Logger;
}

export interface Connection {
  agent: Agent;
  /** The setup call's outcome. */
  isSetUp: Promise<void>;
}

export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #closing = new AbortController();
  #connected = new Deferred<Connection>();
  #ready = new Deferred<Agent>();
  #agent: Agent | undefined;
  #isReady = false;
  #breaks: number[] = [];

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    void this.#run();
  }

  /** The agent as soon as the setup call was sent: what is called now is carried out after it. */
  connected(): Promise<Connection> {
    return this.#unlessClosed(this.#connected.promise);
  }

  /** The agent of a sandbox that is set up. */
  ready(): Promise<Agent> {
    return this.#unlessClosed(this.#ready.promise);
  }

  /** A closed link has no agent, though the last one's promise was kept. */
  #unlessClosed<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    return signal.aborted ? Promise.reject(signal.reason) : promise;
  }

  /** Rejects what waits with `error`. Idempotent. */
  close(error: Error): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(error);
    this.#connected.reject(error);
    this.#ready.reject(error);
    void this.#agent?.close().catch(() => {});
  }

  async #run(): Promise<void> {
    const { log, sandboxId } = this.#options;
    for (let again = this.#options.adopted; !this.#closing.signal.aborted; again = true) {
      try {
        await this.#connection(again);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        log.warn({ sandboxId, error: messageOf(error) }, 'agent connection failed');
        if (!this.#mayTryAgain()) return this.#lose(error);
        await this.#options.clock.sleep(100, this.#closing.signal).catch(() => {});
      }
    }
  }

  /** One connection from its begin to its end; always throws in the end. */
  async #connection(again: boolean): Promise<never> {
    const { connect, channelPath, sandboxId, setup, onResumed } = this.#options;
    const timeoutMs = again ? againTimeoutMs : firstTimeoutMs;
    const { signal } = this.#closing;
    const agent = await connect({ channelPath, sandboxId, timeoutMs, adopted: again, signal });
    this.#agent = agent;
    if (signal.aborted) {
      await agent.close();
      throw signal.reason;
    }
    const ended = this.#follow(agent);
    ended.catch(() => {});
    try {
      const isSetUp = agent.setup(setup());
      isSetUp.catch(() => {});
      this.#connected.resolve({ agent, isSetUp });
      await Promise.race([isSetUp, ended]);
      if (again) await Promise.race([onResumed(agent), ended]);
      this.#isReady = true;
      this.#ready.resolve(agent);
      return await ended;
    } finally {
      if (!this.#closing.signal.aborted) this.#forget();
      await agent.close().catch(() => {});
    }
  }

  /** Reads events until the channel is gone; throws why. */
  async #follow(agent: Agent): Promise<never> {
    for await (const event of agent.events(this.#closing.signal)) {
      if (event.type === 'closed') throw event.error;
      this.#options.onEvent(event);
    }
    throw new SampanError('ServiceUnavailable', `the agent of sandbox ${this.#options.sandboxId} hung up`);
  }

  /** Callers that come now, and who waits still, wait for the next connection. */
  #forget(): void {
    this.#connected = new Deferred();
    if (this.#isReady) this.#ready = new Deferred();
    this.#isReady = false;
    this.#agent = undefined;
  }

  #mayTryAgain(): boolean {
    const now = this.#options.clock.monotonicMs();
    this.#breaks = [...this.#breaks.filter((at) => now - at < breaksWindowMs), now];
    return this.#breaks.length <= breaksAllowed;
  }

  #lose(error: unknown): void {
    const lost = error instanceof Error ? error : new Error(String(error));
    this.close(lost);
    this.#options.onLost(lost);
  }
}
