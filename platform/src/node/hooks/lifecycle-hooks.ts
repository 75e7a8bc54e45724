/** postStart and preStop: a command in the container, an HTTP request to it, or a pause. */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Container, EphemeralContainer, LifecycleHandler, Pod } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StartError } from '../act/start-error.ts';
import { abortable } from '../images/image-puller.ts';
import type { PodEvents } from '../pod-events.ts';
import { httpGet } from '../probes/http-get.ts';
import { portNumber } from '../probes/port-number.ts';

export interface HookInput {
  pod: Pod;
  container: Container | EphemeralContainer;
  hook: LifecycleHandler;
  /** The container's id. */
  id: string;
  podIPs: string[];
  signal: AbortSignal;
}

/** A hook over HTTP may take so long (kubelet's client gives no other limit than the Pod's own). */
const httpTimeoutMs = 30_000;

export class LifecycleHooks {
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #events: PodEvents;

  constructor(options: { runtime: Runtime; clock: Clock; events: PodEvents }) {
    this.#runtime = options.runtime;
    this.#clock = options.clock;
    this.#events = options.events;
  }

  /** Throws StartError when it failed: the container is stopped, and started again as its policy says. */
  async postStart(input: HookInput): Promise<void> {
    try {
      await abortable(this.#run(input), input.signal);
    } catch (error) {
      input.signal.throwIfAborted();
      const message = 'PostStartHook failed';
      this.#events.container(input.pod, input.container.name, {
        type: 'Warning',
        reason: 'FailedPostStartHook',
        message,
      });
      await this.#runtime.stopContainer({ containerId: input.id, timeout: 2n }).catch(() => {});
      throw new StartError('PostStartHookError', messageOf(error), { cause: error });
    }
  }

  /** Never throws: a container is stopped whatever its hook says. `signal` ends the wait for it. */
  async preStop(input: HookInput): Promise<void> {
    try {
      await abortable(this.#run(input), input.signal);
    } catch {
      if (input.signal.aborted) return;
      const message = 'PreStopHook failed';
      this.#events.container(input.pod, input.container.name, {
        type: 'Warning',
        reason: 'FailedPreStopHook',
        message,
      });
    }
  }

  async #run({ container, hook, id, podIPs, signal }: HookInput): Promise<void> {
    if (hook.sleep) return this.#clock.sleep(hook.sleep.seconds * 1000, signal);
    if (hook.exec) {
      const answer = await this.#runtime.execSync({ containerId: id, cmd: hook.exec.command ?? [], timeout: 0n });
      if (answer.exitCode === 0) return;
      const words = Buffer.concat([answer.stdout ?? new Uint8Array(), answer.stderr ?? new Uint8Array()])
        .toString('utf8')
        .slice(0, 500);
      throw new SampanError(
        'InternalError',
        `command '${hook.exec.command?.join(' ')}' exited with ${answer.exitCode}: ${words}`,
      );
    }
    if (hook.httpGet) {
      const { httpGet: get } = hook;
      const port = portNumber(container, get.port);
      const host = get.host || podIPs[0] || '';
      const target = { host, port, path: get.path, scheme: get.scheme, headers: get.httpHeaders };
      const { status } = await httpGet({ ...target, timeoutMs: httpTimeoutMs, clock: this.#clock, signal });
      if (status >= 400) throw new SampanError('InternalError', `the hook's request was answered with ${status}`);
      return;
    }
    throw new SampanError('Unsupported', `hook ${Object.keys(hook).join(', ')} is not supported by this node`);
  }
}
