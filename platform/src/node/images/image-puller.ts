/**
 * Sees to it that a container's image is on the node, or says why it is not: pull policies, pull secrets, back-off and kubelet's events.
 * Does not own pulling itself (the runtime's image service).
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Container, EphemeralContainer, Pod, Secret } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import type { AuthConfig, Image } from '../../runtime/generated/cri.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ObjectSource } from '../../volumes/sources.ts';
import { StartError } from '../act/start-error.ts';
import type { PodEvents } from '../pod-events.ts';
import { parseImageName } from './image-name.ts';
import { credentialsFor } from './pull-secrets.ts';

export interface ReadyImage {
  /** What the runtime creates the container from. */
  ref: string;
  uid?: bigint;
  username: string;
}

type WithImage = Pick<Container | EphemeralContainer, 'name' | 'image' | 'imagePullPolicy'>;

const firstDelayMs = 10_000;
const lastDelayMs = 300_000;

interface PullBackOff {
  delayMs: number;
  untilMs: number;
  message: string;
}

export class ImagePuller {
  readonly #runtime: Runtime;
  readonly #objects: ObjectSource;
  readonly #events: PodEvents;
  readonly #clock: Clock;
  /** By Pod uid, then image name. */
  readonly #backOffs = new Map<string, Map<string, PullBackOff>>();

  constructor(options: { runtime: Runtime; objects: ObjectSource; events: PodEvents; clock: Clock }) {
    this.#runtime = options.runtime;
    this.#objects = options.objects;
    this.#events = options.events;
    this.#clock = options.clock;
  }

  /** The image when it is on the node already, whatever its policy. */
  async present(name: string): Promise<Image | undefined> {
    return (await this.#runtime.imageStatus({ image: { image: name } })).image;
  }

  /** Throws StartError with the reason the container then waits for. */
  async ensure(pod: Pod, container: WithImage, signal: AbortSignal): Promise<ReadyImage> {
    const name = container.image ?? '';
    if (!parseImageName(name)) throw this.#invalid(pod, container);
    const policy = container.imagePullPolicy ?? 'IfNotPresent';
    const here = await this.#look(pod, container);
    if (here && policy !== 'Always') {
      const message = `Container image "${name}" already present on machine`;
      this.#events.container(pod, container.name, { type: 'Normal', reason: 'Pulled', message });
      return ready(here);
    }
    if (policy === 'Never') throw this.#never(pod, container);
    this.#checkBackOff(pod, container);
    return this.#pull(pod, container, signal);
  }

  forget(uid: string): void {
    this.#backOffs.delete(uid);
  }

  async #look(pod: Pod, container: WithImage): Promise<Image | undefined> {
    try {
      return await this.present(container.image ?? '');
    } catch (error) {
      const message = `Failed to inspect image "${container.image}": ${messageOf(error)}`;
      this.#events.container(pod, container.name, { type: 'Warning', reason: 'InspectFailed', message });
      throw new StartError('ImageInspectError', message, { cause: error });
    }
  }

  async #pull(pod: Pod, container: WithImage, signal: AbortSignal): Promise<ReadyImage> {
    const name = container.image ?? '';
    this.#events.container(pod, container.name, {
      type: 'Normal',
      reason: 'Pulling',
      message: `Pulling image "${name}"`,
    });
    const startMs = this.#clock.now();
    try {
      await abortable(this.#tryCredentials(pod, name), signal);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#pullFailed(pod, container, error);
    }
    this.#backOffs.get(pod.metadata?.uid ?? '')?.delete(name);
    const image = await this.#look(pod, container);
    if (!image) throw this.#pullFailed(pod, container, new Error('the image is not there after its pull'));
    const took = formatDuration(this.#clock.now() - startMs);
    const message = `Successfully pulled image "${name}" in ${took} (${took} including waiting). Image size: ${image.size ?? 0n} bytes.`;
    this.#events.container(pod, container.name, { type: 'Normal', reason: 'Pulled', message });
    return ready(image);
  }

  /** Each credential that fits in turn, then none at all. */
  async #tryCredentials(pod: Pod, name: string): Promise<void> {
    const credentials: (AuthConfig | undefined)[] = credentialsFor(parseImageName(name)!, await this.#secrets(pod));
    if (credentials.length === 0) credentials.push(undefined);
    const errors: unknown[] = [];
    for (const auth of credentials) {
      try {
        await this.#runtime.pullImage({ image: { image: name }, ...(auth ? { auth } : {}) });
        return;
      } catch (error) {
        errors.push(error);
      }
    }
    throw errors.length === 1 ? errors[0] : new Error(`[${errors.map(messageOf).join(', ')}]`);
  }

  /** A secret that is missing is as one without a fitting entry: the pull says what is wrong. */
  async #secrets(pod: Pod): Promise<Secret[]> {
    const namespace = pod.metadata?.namespace ?? '';
    const names = (pod.spec?.imagePullSecrets ?? []).map((reference) => reference.name ?? '');
    const secrets = await Promise.all(names.map((name) => this.#objects.secret(namespace, name)));
    for (const [index, name] of names.entries())
      if (!secrets[index])
        this.#events.pod(
          pod,
          'Warning',
          'FailedToRetrieveImagePullSecret',
          `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`,
        );
    return secrets.filter((secret) => secret !== undefined);
  }

  #checkBackOff(pod: Pod, container: WithImage): void {
    const backOff = this.#backOffs.get(pod.metadata?.uid ?? '')?.get(container.image ?? '');
    if (!backOff || this.#clock.now() >= backOff.untilMs) return;
    throw this.#backedOff(pod, container, backOff);
  }

  #backedOff(pod: Pod, container: WithImage, backOff: PullBackOff): StartError {
    const message = `Back-off pulling image "${container.image}"`;
    this.#events.container(pod, container.name, { type: 'Normal', reason: 'BackOff', message });
    this.#failed(pod, container, 'Error: ImagePullBackOff');
    return new StartError('ImagePullBackOff', `${message}: ErrImagePull: ${backOff.message}`, {
      retryAtMs: backOff.untilMs,
    });
  }

  #pullFailed(pod: Pod, container: WithImage, error: unknown): StartError {
    const name = container.image ?? '';
    const message = messageOf(error);
    const uid = pod.metadata?.uid ?? '';
    const ofPod = this.#backOffs.get(uid) ?? new Map<string, PullBackOff>();
    const delayMs = Math.min(lastDelayMs, (ofPod.get(name)?.delayMs ?? firstDelayMs / 2) * 2);
    const nowMs = this.#clock.now();
    this.#backOffs.set(uid, ofPod.set(name, { delayMs, untilMs: nowMs + delayMs, message }));
    this.#failed(pod, container, `Failed to pull image "${name}": ${message}`);
    this.#failed(pod, container, 'Error: ErrImagePull');
    // Looked at again soon, so that the status says that it is backing off.
    return new StartError('ErrImagePull', message, { retryAtMs: nowMs + 1000, cause: error });
  }

  #invalid(pod: Pod, container: WithImage): StartError {
    const message = `Failed to apply default image tag "${container.image}": couldn't parse image name "${container.image}": invalid reference format`;
    this.#events.container(pod, container.name, { type: 'Warning', reason: 'InspectFailed', message });
    this.#failed(pod, container, 'Error: InvalidImageName');
    return new StartError('InvalidImageName', message);
  }

  #never(pod: Pod, container: WithImage): StartError {
    const message = `Container image "${container.image}" is not present with pull policy of Never`;
    this.#events.container(pod, container.name, { type: 'Warning', reason: 'ErrImageNeverPull', message });
    this.#failed(pod, container, 'Error: ErrImageNeverPull');
    return new StartError('ErrImageNeverPull', message);
  }

  #failed(pod: Pod, container: WithImage, message: string): void {
    this.#events.container(pod, container.name, { type: 'Warning', reason: 'Failed', message });
  }
}

function ready(image: Image): ReadyImage {
  return {
    ref: image.id ?? '',
    username: image.username ?? '',
    ...(image.uid?.value !== undefined ? { uid: image.uid.value } : {}),
  };
}

/** Gives up waiting when `signal` aborts; what was waited for goes on. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** As Go prints a duration, to the millisecond. */
function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.round(ms - minutes * 60_000) / 1000;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
