/**
 * Tells one containerd what happens to its tasks, in order. A containerd that is away is tried again a while; what it then misses it finds by asking
 * for the tasks' state, as it does whenever it starts.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { TaskEvent } from './containerd/task-events.ts';
import { forwardRequest, timestampOf } from './containerd/task-messages.ts';
import { callTtrpc } from './ttrpc/ttrpc-client.ts';

const tries = 8;
const timeoutMs = 5_000;
const mostWaiting = 4096;

export interface EventForwarderOptions {
  /** containerd's ttrpc socket. */
  socketPath: string;
  clock: Clock;
  log: Logger;
}

export class EventForwarder {
  readonly #options: EventForwarderOptions;
  readonly #waiting: { namespace: string; event: TaskEvent; nanos: bigint }[] = [];
  #running = false;

  constructor(options: EventForwarderOptions) {
    this.#options = options;
  }

  tell(namespace: string, event: TaskEvent): void {
    const { clock, log } = this.#options;
    if (this.#waiting.length >= mostWaiting) {
      this.#waiting.shift();
      log.warn({ socket: this.#options.socketPath }, 'containerd does not take events; the oldest is dropped');
    }
    this.#waiting.push({ namespace, event, nanos: BigInt(Math.floor(clock.now() * 1000)) * 1000n });
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) await this.#deliver(next);
    this.#running = false;
  }

  async #deliver({ namespace, event, nanos }: { namespace: string; event: TaskEvent; nanos: bigint }): Promise<void> {
    const { socketPath, clock, log } = this.#options;
    const { topic, typeUrl, value } = event;
    const payload = forwardRequest.encode({
      envelope: { timestamp: timestampOf(nanos), namespace, topic, event: { typeUrl, value } },
    });
    for (let attempt = 1; attempt <= tries; attempt++) {
      try {
        await callTtrpc({
          socketPath,
          service: 'containerd.services.events.ttrpc.v1.Events',
          method: 'Forward',
          namespace,
          payload,
          timeoutMs,
        });
        return;
      } catch (error) {
        if (attempt === tries)
          log.warn({ topic, namespace, error: messageOf(error) }, 'containerd did not take an event');
        else await clock.sleep(Math.min(100 * 2 ** attempt, 2_000));
      }
    }
  }
}
