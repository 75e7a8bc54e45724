/**
 * Tells the controllers that work on every kind which custom kinds there are: their list is the built-in kinds and what the established
 * CustomResourceDefinitions name. It watches definitions alone; where there are none it costs one empty watch.
 */
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import type { CustomResourceDefinition } from '@sampan/api/custom/definition-types.ts';
import { inVersionOrder } from '@sampan/api/custom/version-order.ts';
import { WorkQueue } from '../base/work-queue.ts';
import type { ControllerParts } from './controller-options.ts';
import type { GarbageKind } from './garbage-collector/kind-graph.ts';
import type { SharedInformers } from './informer/shared-informers.ts';

export interface CustomKindsOptions extends Omit<ControllerParts, 'client'> {
  /** Called with all custom kinds, each in one version, whenever they are others than before; must not wait. */
  onKinds(kinds: GarbageKind[]): void;
}

const everything = 'all';

export class CustomKindsController {
  readonly #informers: SharedInformers;
  readonly #onKinds: CustomKindsOptions['onKinds'];
  readonly #queue: WorkQueue;
  #kinds = new Map<string, GarbageKind>();

  constructor({ informers, log, clock, onKinds }: CustomKindsOptions) {
    this.#informers = informers;
    this.#onKinds = onKinds;
    this.#queue = new WorkQueue({ log, clock, concurrency: 1, work: () => this.#settle() });
  }

  async start(): Promise<void> {
    const definitions = this.#informers.of<CustomResourceDefinition>(resources.customresourcedefinitions);
    definitions.subscribe(() => this.#queue.add(everything));
    await definitions.start();
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  /** Kinds that went are told first, alone: one that comes back in another version is another informer. */
  async #settle(): Promise<void> {
    const definitions = this.#informers.of<CustomResourceDefinition>(resources.customresourcedefinitions).list();
    const wanted = new Map(definitions.flatMap(kindOf).map((kind) => [keyOf(kind.ref), kind]));
    const gone = [...this.#kinds].filter(([key]) => !wanted.has(key));
    const isNew = [...wanted.keys()].some((key) => !this.#kinds.has(key));
    for (const [key] of gone) this.#kinds.delete(key);
    if (gone.length > 0) this.#onKinds([...this.#kinds.values()]);
    await Promise.all(gone.map(([, { ref }]) => this.#informers.drop(ref)));
    if (!isNew) return;
    this.#kinds = wanted;
    this.#onKinds([...wanted.values()]);
  }
}

function kindOf({ spec, status }: CustomResourceDefinition & KubeObject): GarbageKind[] {
  const established = status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True');
  const [version] = inVersionOrder(spec.versions.filter(({ served }) => served));
  if (!established || !version) return [];
  const { group, names, scope } = spec;
  const ref: ResourceRef = {
    group,
    version: version.name,
    resource: names.plural,
    namespaced: scope === 'Namespaced',
  };
  return [{ ref, kind: names.kind }];
}

const keyOf = ({ group, version, resource }: ResourceRef) => `${group}/${version}/${resource}`;
