/**
 * The API without HTTP, for the parts of the platform that live in the server's process: the same verbs, checks and errors.
 * list and watch hand out the cache's own frozen objects (a write into one throws); everything else is a private copy, managedFields aside.
 */
import type {
  DeleteOptions,
  KubeClient,
  KubeObject,
  ListOptions,
  ListResult,
  PatchType,
  ResourceRef,
  WatchEvent,
} from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { Target } from '@sampan/api/kind.ts';
import { type Authorizer, demand, namedBy } from './auth/authorizer.ts';
import { masters, type UserInfo } from './auth/user.ts';
import { type Action, decodeAction } from './meta/action.ts';
import { badRequest, unknownPath } from './meta/failures.ts';
import { copyForClient, copyOf } from './meta/object.ts';
import type { Shown } from './meta/shown.ts';
import { findVirtual, type VirtualKind } from './meta/virtual.ts';
import { apply } from './verbs/apply.ts';
import type { Caller, VerbContext } from './verbs/context.ts';
import { create } from './verbs/create.ts';
import { deleteObject } from './verbs/delete.ts';
import { get } from './verbs/get.ts';
import { list } from './verbs/list.ts';
import { applyType, patch } from './verbs/patch.ts';
import { applyScale, getScale, patchScale, updateScale } from './verbs/scale.ts';
import { update } from './verbs/update.ts';
import { type WatchSink, watch } from './verbs/watch.ts';

export interface InProcessParts {
  context: VerbContext;
  authorizer: Authorizer;
  actions: readonly Action[];
  virtualKinds: readonly VirtualKind[];
}

interface Asked {
  verb: string;
  ref: ResourceRef;
  name?: string;
  namespace?: string;
  subresource?: string;
  fieldSelector?: string;
}

/** Events a watcher may be behind before it is told to list again. */
const maxPending = 10_000;

export class InProcessClient implements KubeClient {
  readonly #parts: InProcessParts;
  readonly #user: UserInfo;

  constructor(parts: InProcessParts, user: UserInfo) {
    this.#parts = parts;
    this.#user = user;
  }

  async get<T extends KubeObject>(
    ref: ResourceRef,
    name: string,
    namespace?: string,
    subresource?: 'scale',
  ): Promise<T> {
    await this.#demand({ verb: 'get', ref, name, namespace, subresource });
    const { context, virtualKinds } = this.#parts;
    if (subresource) return (await getScale(context, this.#place(ref, name, namespace))) as KubeObject as T;
    const virtual = findVirtual(virtualKinds, ref);
    if (virtual) return copyOf(await virtual.get(context, name, namespace)) as T;
    return copyForClient(await get(context, this.#place(ref, name, namespace))) as T;
  }

  async list<T extends KubeObject>(ref: ResourceRef, options: ListOptions = {}): Promise<ListResult<T>> {
    await this.#demand({ verb: 'list', ref, ...options });
    const { context, virtualKinds } = this.#parts;
    const virtual = findVirtual(virtualKinds, ref);
    if (virtual) return { items: (await virtual.list(context, options)) as T[], resourceVersion: '' };
    const answer = await list(context, this.#kind(ref), options);
    const items = answer.items as KubeObject[] as T[];
    return { items, resourceVersion: String(answer.revision), continue: answer.continue };
  }

  async *watch<T extends KubeObject>(
    ref: ResourceRef,
    options: ListOptions & { resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    await this.#demand({ verb: 'watch', ref, ...options });
    if (signal.aborted) return;
    const queue = new WatchQueue<T>();
    const query = { ...options, allowWatchBookmarks: true };
    const stop = await watch(this.#parts.context, this.#kind(ref), query, queue);
    const onAbort = () => queue.end();
    signal.addEventListener('abort', onAbort);
    try {
      yield* queue.events();
    } finally {
      signal.removeEventListener('abort', onAbort);
      stop();
    }
  }

  async create<T extends KubeObject>(
    ref: ResourceRef,
    object: T,
    options: { namespace?: string; name?: string; subresource?: string } = {},
  ): Promise<T> {
    const namespace = ref.namespaced ? (options.namespace ?? object.metadata?.namespace) : undefined;
    const { subresource = '' } = options;
    const name = subresource ? (options.name ?? object.metadata?.name ?? '') : '';
    await this.#demand({ verb: 'create', ref, name, namespace, subresource });
    const { context, actions } = this.#parts;
    const { group, version, resource } = ref;
    const action = actions.find(
      (one) =>
        one.group === group && one.version === version && one.resource === resource && one.subresource === subresource,
    );
    if (action) {
      const caller = this.#caller();
      const body = decodeAction(action, object, caller);
      return copyOf(await action.run({ context, namespace, name, body, caller })) as T;
    }
    if (subresource) throw unknownPath();
    if (ref.namespaced && !namespace) throw badRequest('an empty namespace may not be set during creation');
    const kind = this.#kind(ref);
    return copyForClient(
      await create(context, { kind, namespace, body: object, caller: this.#caller() }),
    ) as KubeObject as T;
  }

  async update<T extends KubeObject>(ref: ResourceRef, object: T, options: { subresource?: string } = {}): Promise<T> {
    const { name, namespace } = object.metadata ?? {};
    const { subresource } = options;
    await this.#demand({ verb: 'update', ref, name, namespace, subresource });
    const place = this.#place(ref, name ?? '', namespace);
    const target = this.#target(ref, subresource);
    if (target === 'scale') {
      return (await updateScale(this.#parts.context, {
        place,
        body: object,
        caller: this.#caller(),
      })) as KubeObject as T;
    }
    return copyForClient(
      await update(this.#parts.context, { place, target, body: object, caller: this.#caller() }),
    ) as T;
  }

  async patch<T extends KubeObject>(
    ref: ResourceRef,
    name: string,
    body: unknown,
    options: { namespace?: string; type: PatchType; subresource?: string; fieldManager?: string; force?: boolean },
  ): Promise<T> {
    const { namespace, type, subresource, fieldManager } = options;
    await this.#demand({ verb: 'patch', ref, name, namespace, subresource });
    const place = this.#place(ref, name, namespace);
    const target = this.#target(ref, subresource);
    const caller = { ...this.#caller(), ...(fieldManager ? { fieldManager } : {}) };
    if (type === applyType) {
      const mayCreate = () => this.#demand({ verb: 'create', ref, name, namespace });
      const force = options.force ?? false;
      const request = { place, target, configuration: body, caller, force, mayCreate };
      if (target === 'scale') return (await applyScale(this.#parts.context, request)) as KubeObject as T;
      return copyForClient((await apply(this.#parts.context, request)).object) as T;
    }
    const request = { place, target, type, patch: copyOf(body), caller };
    if (target === 'scale') return (await patchScale(this.#parts.context, request)) as KubeObject as T;
    return copyForClient(await patch(this.#parts.context, request)) as T;
  }

  async delete(
    ref: ResourceRef,
    name: string,
    options: DeleteOptions & { namespace?: string } = {},
  ): Promise<KubeObject> {
    const { namespace, ...rest } = options;
    await this.#demand({ verb: 'delete', ref, name, namespace });
    const place = this.#place(ref, name, namespace);
    return copyForClient(
      (await deleteObject(this.#parts.context, { place, options: rest, caller: this.#caller() })).object,
    );
  }

  async #demand({ verb, ref, namespace = '', subresource = '', fieldSelector, ...asked }: Asked): Promise<void> {
    // The platform's own parts are masters: spare them a walk through the chain on every call.
    if (this.#user.groups.includes(masters)) return;
    const { group, version, resource } = ref;
    const { name = namedBy(fieldSelector) } = asked;
    const attributes = { user: this.#user, verb, group, version, resource, subresource, namespace, name };
    await demand(this.#parts.authorizer, { ...attributes, fieldSelector });
  }

  #kind(ref: ResourceRef) {
    return this.#parts.context.kinds.of(ref);
  }

  #place(ref: ResourceRef, name: string, namespace: string | undefined) {
    const kind = this.#kind(ref);
    if (!name) throw badRequest(`the name of the ${kind.kind} must be given`);
    if (kind.ref.namespaced && !namespace) throw badRequest(`the namespace of ${kind.kind} ${name} must be given`);
    return { kind, name, namespace: kind.ref.namespaced ? namespace : undefined };
  }

  #target(ref: ResourceRef, subresource: string | undefined): Target {
    if (!subresource) return 'object';
    const target = subresource as Target;
    if (!this.#kind(ref).subresources.includes(target)) throw unknownPath();
    return target;
  }

  #caller(): Caller {
    const name = this.#user.name.replace(/^system:/, '');
    return { user: this.#user, dryRun: false, fieldManager: name, fieldValidation: 'Strict', warn() {} };
  }
}

/** Events between the cache, which pushes, and a reader, which pulls. */
class WatchQueue<T extends KubeObject> implements WatchSink {
  #pending: WatchEvent<T>[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  event(type: 'ADDED' | 'MODIFIED' | 'DELETED', { object }: Shown): void {
    this.#push({ type, object: object as KubeObject as T });
  }

  bookmark(revision: number): void {
    this.#push({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(revision) } } });
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake();
  }

  async *events(): AsyncGenerator<WatchEvent<T>> {
    for (;;) {
      const batch = this.#pending;
      this.#pending = [];
      yield* batch;
      if (this.#pending.length > 0) continue;
      if (this.#error) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #push(event: WatchEvent<T>): void {
    if (this.#ended) return;
    if (this.#pending.length >= maxPending) {
      this.#pending = [];
      this.end(new SampanError('Expired', 'the watcher fell too far behind; list again'));
      return;
    }
    this.#pending.push(event);
    this.#wake();
  }
}
