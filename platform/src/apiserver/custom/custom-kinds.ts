/**
 * Serves the kinds that CustomResourceDefinitions describe, from the moment their names are accepted until they and their objects are gone.
 *
 *   created ──names free──▶ served, Established ──deleted──▶ Terminating: objects are deleted ──none left──▶ gone
 *      └────name taken────▶ not served ◀──────────── (looked at again whenever a definition of the group changes)
 *
 * Owns: the table of kinds and the watch cache beyond the built-in kinds, and the definitions' status and cleanup finalizer.
 * Level-based: every step is taken from the definition as it stands. Where there is no definition it holds nothing.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { customKinds, storageKind } from '@sampan/api/custom/custom-kind.ts';
import type { CustomResourceDefinition } from '@sampan/api/custom/definition-types.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { cleanupFinalizer, customResourceDefinitions } from '@sampan/api/kinds/custom-resource-definition.ts';
import { toTime } from '../../base/clock.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { systemUser } from '../auth/user.ts';
import { keyOf, prefixOf } from '../cache/key.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import type { Caller, VerbContext } from '../verbs/context.ts';
import { deleteCollection } from '../verbs/delete-collection.ts';
import { rewrite } from '../verbs/rewrite.ts';
import { isEstablished, statusOf } from './definition-status.ts';
import { decideNames } from './names.ts';

/** Objects that finalizers hold are asked for again so often. */
const recheckMs = 500;
/** Objects deleted in one turn, so that other definitions are not kept waiting. */
const deletedAtOnce = 500;

const caller: Caller = {
  user: systemUser('system:apiserver'),
  dryRun: false,
  fieldManager: 'kube-apiserver',
  fieldValidation: 'Ignore',
  warn() {},
};

interface Served {
  uid: string | undefined;
  generation: number | undefined;
  ref: Kind['ref'];
}

export class CustomKinds {
  readonly #context: VerbContext;
  readonly #queue: WorkQueue;
  readonly #served = new Map<string, Served>();
  #kind: Kind | undefined;
  #unsubscribe: () => void = () => {};
  #closed = false;

  constructor(context: VerbContext) {
    this.#context = context;
    const { log, clock } = context;
    // One at a time: whose a name is depends on who had it first.
    this.#queue = new WorkQueue({ log, clock, concurrency: 1, work: (name) => this.#sync(name) });
  }

  /** Resolves when what the store defines is served. */
  async start(): Promise<void> {
    const { group, version, resource } = customResourceDefinitions;
    this.#kind = this.#context.kinds.find(group, version, resource);
    if (!this.#kind) return;
    for (const definition of this.#definitions()) {
      if (isEstablished(definition))
        await this.#serve(nameOf(definition), definition).catch((error) => this.#complain(error));
    }
    this.#follow();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await this.#queue.close();
  }

  /** After a subscription was lost everything is looked at again. */
  #follow(): void {
    const { cache } = this.#context;
    const definitions = cache.kind(customResourceDefinitions);
    this.#unsubscribe = definitions.subscribe(cache.revision, {
      change: ({ object }) => this.#addGroup(object as unknown as CustomResourceDefinition),
      end: () => queueMicrotask(() => !this.#closed && this.#follow()),
    });
    for (const name of this.#served.keys()) this.#queue.add(name);
    for (const definition of this.#definitions()) this.#queue.add(nameOf(definition));
  }

  /** A name that one definition gives up may be what another one waits for. */
  #addGroup(changed: CustomResourceDefinition): void {
    this.#queue.add(nameOf(changed));
    for (const other of this.#definitions()) {
      if (other.spec.group === changed.spec.group && !isEstablished(other)) this.#queue.add(nameOf(other));
    }
  }

  *#definitions(): Iterable<CustomResourceDefinition> {
    const cache = this.#context.cache.kind(customResourceDefinitions);
    for (const { object } of cache.range(prefixOf(customResourceDefinitions))) {
      yield object as unknown as CustomResourceDefinition;
    }
  }

  async #sync(name: string): Promise<void> {
    const { cache, kinds, clock } = this.#context;
    const found = cache.kind(customResourceDefinitions).get(keyOf(customResourceDefinitions, name))?.object;
    if (!found) return this.#withdraw(name);
    const definition = found as unknown as CustomResourceDefinition;
    const others = [...this.#definitions()].filter((other) => nameOf(other) !== name);
    const names = decideNames(definition, others, kinds.builtIn);
    if (!names.refusal || isEstablished(definition)) await this.#serve(name, definition);
    await this.#change(name, 'status', (current) => ({
      ...current,
      status: statusOf(current, names, toTime(clock.now())),
    }));
    if (definition.metadata?.deletionTimestamp) await this.#cleanUp(name, definition);
  }

  async #serve(name: string, definition: CustomResourceDefinition): Promise<void> {
    const { uid, generation } = definition.metadata ?? {};
    const before = this.#served.get(name);
    if (before && before.uid === uid && before.generation === generation) return;
    const kinds = customKinds(definition);
    const { ref } = storageKind(definition);
    await this.#context.cache.add(ref);
    this.#context.kinds.setCustom(name, kinds);
    this.#served.set(name, { uid, generation, ref });
  }

  #withdraw(name: string): void {
    const served = this.#served.get(name);
    if (!served) return;
    this.#context.kinds.setCustom(name, []);
    this.#context.cache.remove(served.ref);
    this.#served.delete(name);
  }

  /** Deletes the objects, and lets go of the definition when there are none. */
  async #cleanUp(name: string, definition: CustomResourceDefinition): Promise<void> {
    if (!definition.metadata?.finalizers?.includes(cleanupFinalizer)) return;
    const { cache } = this.#context;
    const kind = storageKind(definition);
    if (this.#served.has(name)) {
      await deleteCollection(this.#context, { kind, query: { limit: deletedAtOnce }, options: {}, caller });
      await cache.fresh();
      if (cache.kind(kind.ref).size > 0) return this.#queue.addAfter(name, recheckMs);
    }
    await this.#change(name, 'object', (current) => {
      const finalizers = (current.metadata?.finalizers ?? []).filter((one) => one !== cleanupFinalizer);
      return { ...current, metadata: { ...current.metadata, finalizers } };
    });
  }

  async #change(
    name: string,
    target: 'object' | 'status',
    change: (definition: CustomResourceDefinition) => KubeObject,
  ): Promise<void> {
    const place = { kind: this.#kind as Kind, namespace: undefined, name };
    const next = (current: Stored) => change(copyOf(current) as unknown as CustomResourceDefinition) as Stored;
    await rewrite(this.#context, { place, target, caller, change: next }).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
  }

  #complain(error: unknown): void {
    this.#context.log.error({ error: messageOf(error) }, 'cannot serve a custom resource definition yet');
  }
}

const nameOf = ({ metadata }: KubeObject) => metadata?.name ?? '';
