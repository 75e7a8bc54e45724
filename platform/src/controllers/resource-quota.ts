/**
 * Counts what a ResourceQuota counts, again whenever something of it goes or ends, and writes status (pkg/controller/resourcequota).
 * Admission adds to status.used in the transaction that makes an object; a count that does not see that write loses the race for the
 * quota's version and is made anew, so the two cannot undo each other.
 */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import { Quantity } from '@sampan/api/quantity.ts';
import { type Amounts, formatAmounts, sum } from '@sampan/api/quota/amounts.ts';
import { isInScope } from '@sampan/api/quota/scopes.ts';
import { countedKind, usageOf } from '@sampan/api/quota/usage.ts';
import type { ResourceQuota } from 'kubernetes-types/core/v1.js';
import { WorkQueue } from '../base/work-queue.ts';
import { type ControllerParts, keyOf, splitKey } from './controller-options.ts';
import type { SharedInformer } from './informer/shared-informer.ts';

type Quota = ResourceQuota & KubeObject;

/** A burst of deletions is counted once. */
const settleMs = 50;

export class ResourceQuotaController {
  readonly #parts: ControllerParts;
  readonly #client: KubeClient;
  readonly #builtIn: readonly ResourceRef[];
  #custom: readonly ResourceRef[] = [];
  readonly #quotas: SharedInformer<Quota>;
  readonly #queue: WorkQueue;
  /** Kinds that some quota counts, each in one version. */
  readonly #followed = new Set<string>();

  /** `namespaced`: every kind that lives in namespaces. */
  constructor(options: ControllerParts & { namespaced: readonly ResourceRef[] }) {
    this.#parts = options;
    this.#client = options.client;
    this.#builtIn = options.namespaced;
    this.#queue = new WorkQueue({ log: options.log, clock: options.clock, work: (key) => this.#count(key) });
    this.#quotas = options.informers.of<Quota>(resources.resourcequotas);
  }

  /** Kinds made by definitions, as they are now. */
  setCustom(refs: readonly ResourceRef[]): void {
    const left = new Set(refs.map(keyOfKind));
    for (const ref of this.#custom) if (!left.has(keyOfKind(ref))) this.#followed.delete(keyOfKind(ref));
    this.#custom = refs;
    for (const quota of this.#quotas.list()) this.#look(quota);
  }

  async start(): Promise<void> {
    this.#quotas.subscribe(({ type, object, previous }) => {
      if (type === 'removed' || (previous && equalJson(previous.spec, object.spec) && object.status)) return;
      this.#look(object);
    });
    await this.#quotas.start();
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  /** Kinds nobody counts are not watched. */
  #look(quota: Quota): void {
    for (const ref of this.#refsOf(quota)) this.#follow(ref);
    this.#queue.add(keyOf(quota));
  }

  #follow(ref: ResourceRef): void {
    const key = keyOfKind(ref);
    if (this.#followed.has(key)) return;
    this.#followed.add(key);
    const informer = this.#parts.informers.of<KubeObject>(ref);
    informer.subscribe(({ type, object, previous }) => {
      if (
        type === 'set' &&
        previous &&
        equalJson(formatAmounts(usageOf(ref, object)), formatAmounts(usageOf(ref, previous)))
      )
        return;
      for (const quota of this.#quotas.list(object.metadata?.namespace)) this.#queue.addAfter(keyOf(quota), settleMs);
    });
    void informer.start();
  }

  #refsOf(quota: Quota): ResourceRef[] {
    const names = new Set(Object.keys(quota.spec?.hard ?? {}).map((name) => countedAs(countedKind(name))));
    // Objects of a kind are the same ones in each of its versions.
    const refs = new Map<string, ResourceRef>();
    for (const ref of [...this.#builtIn, ...this.#custom]) {
      const name = countedAs(ref);
      if (names.has(name) && !refs.has(name)) refs.set(name, ref);
    }
    return [...refs.values()];
  }

  async #count(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    try {
      const quota = await this.#client.get<Quota>(resources.resourcequotas, name, namespace);
      const used = await this.#usedOf(quota, namespace);
      const status = { hard: quota.spec?.hard ?? {}, used: formatAmounts(used) };
      if (equalJson(status, { hard: quota.status?.hard ?? {}, used: quota.status?.used ?? {} })) return;
      await this.#client.update<Quota>(resources.resourcequotas, { ...quota, status }, { subresource: 'status' });
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      if (!isReason(error, 'Conflict')) throw error;
      this.#queue.addAfter(key, settleMs);
    }
  }

  /** Every name of spec.hard, 0 where there is nothing of it. */
  async #usedOf(quota: Quota, namespace: string): Promise<Amounts> {
    const zero = new Quantity(0n);
    const spec = quota.spec ?? {};
    const used: Amounts = Object.fromEntries(Object.keys(spec.hard ?? {}).map((name) => [name, zero]));
    for (const ref of this.#refsOf(quota)) {
      const { items } = await this.#client.list<KubeObject>(ref, { namespace });
      for (const object of items) {
        if (!isInScope(spec, ref, object)) continue;
        const usage = usageOf(ref, object);
        for (const name of Object.keys(used))
          if (usage[name]) used[name] = sum({ it: used[name]! }, { it: usage[name] }).it!;
      }
    }
    return used;
  }
}

const countedAs = ({ group, resource }: Pick<ResourceRef, 'group' | 'resource'>): string => `${resource}.${group}`;
const keyOfKind = (ref: ResourceRef): string => `${countedAs(ref)}/${ref.version}`;
