/** The informers of a process, one a kind, made when first asked for. Whoever needs a kind says so before `start`, or starts it itself. */
import type { KubeClient, KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { SharedInformer } from './shared-informer.ts';

export class SharedInformers {
  readonly #options: { client: KubeClient; log: Logger; clock: Clock };
  readonly #informers = new Map<string, SharedInformer<KubeObject>>();

  constructor(options: { client: KubeClient; log: Logger; clock: Clock }) {
    this.#options = options;
  }

  /** The same informer for the same kind, every time. */
  of<T extends KubeObject>(ref: ResourceRef): SharedInformer<T> {
    const key = keyOf(ref);
    const informer = this.#informers.get(key) ?? new SharedInformer<KubeObject>({ ...this.#options, ref });
    this.#informers.set(key, informer);
    // One kind has one type; the map cannot say so.
    return informer as unknown as SharedInformer<T>;
  }

  /** For a kind that is served no more. */
  async drop(ref: ResourceRef): Promise<void> {
    const informer = this.#informers.get(keyOf(ref));
    this.#informers.delete(keyOf(ref));
    await informer?.close();
  }

  /** Resolves when every informer asked for so far has its first list. */
  async start(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.start()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.close()));
  }
}

const keyOf = ({ group, version, resource }: ResourceRef): string => `${group}/${version}/${resource}`;
