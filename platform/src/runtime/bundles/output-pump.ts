/**
 * Carries a container's output from its guest to the paths its client named. The guest keeps what was not acknowledged, so a new connection to
 * the agent, or a new process of ours, goes on where the last one ended: nothing is lost, and at most what was under way comes twice.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Agent } from '../agent/agent.ts';
import type { OutputEnd } from './stdio-ends.ts';

export interface OutputPumpOptions {
  containerId: string;
  stdout: OutputEnd;
  stderr: OutputEnd;
  /** The agent as it is connected now; waits for one. */
  agent: () => Promise<Agent>;
  onError: (message: string) => void;
}

export class OutputPump {
  readonly #options: OutputPumpOptions;
  readonly #taken = { stdout: 0n, stderr: 0n };
  #stopped = false;
  /** Everything was delivered, or never will be. */
  readonly done: Promise<void>;

  constructor(options: OutputPumpOptions) {
    this.#options = options;
    this.done = this.#run();
  }

  /** Lets go of the paths; what the guest still keeps stays there. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#options.stdout.close(), this.#options.stderr.close()]);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      try {
        const agent = await this.#options.agent();
        await this.#copy(agent);
        break;
      } catch (error) {
        // The link gives up for good by itself: then agent() throws at once, again and again.
        failures += 1;
        if (failures > 5 || this.#stopped) {
          if (!this.#stopped) this.#options.onError(messageOf(error));
          break;
        }
      }
    }
    await this.stop();
  }

  async #copy(agent: Agent): Promise<void> {
    const { containerId } = this.#options;
    for await (const { stream, offset, data } of agent.output(containerId, { ...this.#taken })) {
      if (this.#stopped) return;
      const end = offset + BigInt(data.length);
      if (end <= this.#taken[stream]) continue;
      // A reader that has gone for good is no reason to stop the container: what it would have read is dropped.
      await this.#options[stream].write(data);
      this.#taken[stream] = end;
      agent.acknowledge(containerId, { ...this.#taken });
    }
  }
}
