/**
 * Carries a container's output from the guest to its log and to attached clients, over any number of connections to the agent.
 *
 *   read chunk ──▶ write to the log ──▶ acknowledge to the guest
 *
 * Bytes are acknowledged only after they are in the file, so whoever dies in between, nothing is lost and nothing is written twice.
 */
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Agent, OutputChunk } from '../agent/agent.ts';
import { Deferred } from '../deferred.ts';
import type { LogBase } from '../records/container-record.ts';
import { FanOut } from './fan-out.ts';
import { LogWriter, type Offsets } from './log-writer.ts';

export interface LogPumpOptions {
  containerId: string;
  logPath: string;
  from?: Offsets;
  /** The agent of now; called again after a connection broke. Rejects when there will be none any more. */
  agent: () => Promise<Agent>;
  /** The file that is open now, to be kept in the container's record. */
  onOpen: (base: LogBase) => Promise<void>;
  clock: Clock;
  log: Logger;
}

export class LogPump {
  readonly live = new FanOut();
  readonly #options: LogPumpOptions;
  readonly #writer: LogWriter;
  readonly #seen: Offsets;
  readonly #stop = new AbortController();
  /** Reopening must not come between a chunk and its file. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #opened = new Deferred<void>();
  /** Resolves when everything is in the log, or the machine is gone, or the pump was stopped. Never rejects. */
  readonly done: Promise<void>;

  constructor(options: LogPumpOptions) {
    this.#options = options;
    this.#writer = new LogWriter(options.logPath, options.from);
    this.#seen = this.#writer.written;
    this.done = this.#run();
  }

  /** The log file is there. Rejects when it could not be made at the first attempt (the pump goes on trying). */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** After a rotation renamed the file. */
  reopen(): Promise<void> {
    return this.#inTurn(() => this.#open());
  }

  /** Lets go at once; the guest keeps what is not acknowledged. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }

  async #run(): Promise<void> {
    const { log, containerId } = this.#options;
    try {
      await this.#patiently(() => this.#open().catch((error) => this.#failOpen(error)));
      this.#opened.resolve();
      await this.#readAll();
      await this.#patiently(() => this.#writer.end());
    } catch (error) {
      if (!this.#stop.signal.aborted) log.debug({ containerId, error: messageOf(error) }, 'output ended early');
    } finally {
      this.live.end();
      await this.#inTurn(() => this.#writer.close()).catch(() => {});
    }
  }

  /** Reads from one connection after another until the streams end. */
  async #readAll(): Promise<void> {
    for (;;) {
      const agent = await this.#unlessStopped(this.#options.agent());
      try {
        this.#writer.dropHeld();
        await this.#readFrom(agent);
        return;
      } catch (error) {
        // A container that is gone has no more output, and another connection would not bring it.
        if (this.#stop.signal.aborted || isReason(error, 'NotFound')) throw error;
        this.#options.log.debug({ error: messageOf(error) }, 'output broke off, asking again');
        await this.#options.clock.sleep(20, this.#stop.signal);
      }
    }
  }

  async #readFrom(agent: Agent): Promise<void> {
    const id = this.#options.containerId;
    const chunks = agent.output(id, this.#writer.written)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#unlessStopped(chunks.next());
        if (next.done) return;
        this.#publish(next.value);
        await this.#patiently(() => this.#writer.write(next.value));
        agent.acknowledge(id, this.#writer.written);
      }
    } finally {
      // Not awaited: a generator that is waiting for the guest ends when the guest speaks.
      void chunks.return?.(undefined as never)?.catch(() => {});
    }
  }

  /** Live clients see each byte once, though a new connection begins with what the log did not have yet. */
  #publish(chunk: OutputChunk): void {
    const seen = this.#seen[chunk.stream];
    const end = chunk.offset + BigInt(chunk.data.length);
    if (end <= seen) return;
    this.#seen[chunk.stream] = end;
    this.live.publish(chunk.stream, chunk.data.subarray(seen > chunk.offset ? Number(seen - chunk.offset) : 0));
  }

  #failOpen(error: unknown): never {
    this.#opened.reject(error);
    throw error;
  }

  async #open(): Promise<void> {
    const base = await this.#writer.open();
    if (base) await this.#options.onOpen(base);
  }

  /** Until it works: a full disk holds the container up, it does not lose its lines. */
  async #patiently(work: () => Promise<void>): Promise<void> {
    for (let delayMs = 100; ; delayMs = Math.min(5000, delayMs * 2)) {
      try {
        return await this.#inTurn(work);
      } catch (error) {
        const { log, containerId, logPath, clock } = this.#options;
        log.warn({ containerId, logPath, error: messageOf(error) }, 'cannot write the log, the container waits');
        await clock.sleep(delayMs, this.#stop.signal);
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #unlessStopped<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.#stop.signal);
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}
