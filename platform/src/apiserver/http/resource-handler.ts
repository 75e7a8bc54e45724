/** Resource requests: authorised, then handed to the verb they name. Nothing here depends on which kind it is. */
import type { Kind, Target } from '@sampan/api/kind.ts';
import { scaleKind } from '@sampan/api/kinds/scale.ts';
import { type Attributes, type Authorizer, demand, namedBy } from '../auth/authorizer.ts';
import { type Action, decodeAction } from '../meta/action.ts';
import { badRequest, methodNotAllowed, unknownPath } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import { partial, partialList, plainList, table } from '../meta/present.ts';
import { success } from '../meta/status.ts';
import { findVirtual, type VirtualKind } from '../meta/virtual.ts';
import { apply } from '../verbs/apply.ts';
import type { VerbContext } from '../verbs/context.ts';
import { create } from '../verbs/create.ts';
import { deleteObject } from '../verbs/delete.ts';
import { deleteCollection } from '../verbs/delete-collection.ts';
import { get } from '../verbs/get.ts';
import { list, listAs, listMetadata } from '../verbs/list.ts';
import { applyType, patch, patcherFor } from '../verbs/patch.ts';
import { applyScale, getScale, patchScale, updateScale } from '../verbs/scale.ts';
import { update } from '../verbs/update.ts';
import { mediaType, parseBody, readBody } from './body.ts';
import { applierOf, callerOf, deleteOptionsOf, includeObjectOf, listQueryOf, patcherOf } from './caller.ts';
import { type Exchange, send, wantsPretty } from './exchange.ts';
import { heldFor, sendList } from './list-answer.ts';
import { type Representation, representationOf } from './negotiate.ts';
import type { ResourceRequest } from './request-info.ts';
import { handleVirtual } from './virtual-handler.ts';
import { answerWatch } from './watch-answer.ts';

export interface ResourceParts {
  context: VerbContext;
  authorizer: Authorizer;
  actions: readonly Action[];
  virtualKinds: readonly VirtualKind[];
}

interface Call extends ResourceParts {
  exchange: Exchange;
  info: ResourceRequest;
  shown: Representation;
}

export async function handleResource(parts: ResourceParts, exchange: Exchange, info: ResourceRequest): Promise<void> {
  await demand(parts.authorizer, attributesOf(exchange, info));
  const call: Call = { ...parts, exchange, info, shown: representationOf(exchange.request.headers.accept) };
  const action = parts.actions.find(
    (one) =>
      one.group === info.group &&
      one.version === info.version &&
      one.resource === info.resource &&
      one.subresource === info.subresource,
  );
  if (action) return handleAction(call, action);
  const virtual = findVirtual(parts.virtualKinds, info);
  if (virtual) return handleVirtual(call, virtual);
  const kind = parts.context.kinds.find(info.group, info.version, info.resource);
  if (!kind || (info.namespace !== undefined && !kind.ref.namespaced)) throw unknownPath();
  if (info.subresource) return handleView(call, kind);
  return info.name ? handleObject(call, kind) : handleCollection(call, kind);
}

export function attributesOf({ user, query }: Exchange, info: ResourceRequest): Attributes {
  const { verb, group, version, resource, subresource } = info;
  // A namespace lies in itself: who is given rights within it may be given some to it.
  const isNamespace = group === '' && resource === 'namespaces';
  const namespace = info.namespace ?? (isNamespace ? info.name : '');
  const fieldSelector = query.get('fieldSelector') ?? undefined;
  const name = info.name || namedBy(fieldSelector);
  return { user, verb, group, version, resource, subresource, namespace, name, fieldSelector };
}

async function handleAction(call: Call, action: Action): Promise<void> {
  const { exchange, info, context } = call;
  if (info.verb !== 'create') throw methodNotAllowed(info);
  if (action.namespaced && info.namespace === undefined)
    throw badRequest('an empty namespace may not be set during creation');
  const { format } = representationOf(exchange.request.headers.accept, true);
  const caller = callerOf(exchange);
  const body = decodeAction(action, await bodyOf(call), caller);
  const answer = await action.run({ context, namespace: info.namespace, name: info.name, body, caller });
  await send(exchange, 201, answer, format);
}

async function handleView(call: Call, kind: Kind): Promise<void> {
  const { info, exchange, context } = call;
  const target = info.subresource as Target;
  if (!kind.subresources.includes(target) || info.rest) throw unknownPath();
  if (target === 'scale') return handleScale(call, kind);
  const place = placeOf(kind, info);
  if (info.verb === 'get') return show(call, kind, await get(context, place, version(exchange)));
  if (info.verb === 'update') {
    const body = await bodyOf(call);
    return show(call, kind, await update(context, { place, target, body, caller: callerOf(exchange) }));
  }
  if (info.verb === 'patch') return handlePatch(call, kind, target);
  throw methodNotAllowed(kind.ref);
}

async function handleScale(call: Call, kind: Kind): Promise<void> {
  const { info, exchange, context } = call;
  const place = placeOf(kind, info);
  const answer = async () => {
    if (info.verb === 'get') return getScale(context, place);
    if (info.verb === 'update') {
      const body = await bodyOf(call);
      return updateScale(context, { place, caller: callerOf(exchange), body });
    }
    if (info.verb !== 'patch') throw methodNotAllowed(kind.ref);
    const type = mediaType(exchange.request);
    if (type === applyType) return applyScale(context, { place, ...(await applicationOf(call)) });
    patcherFor(type);
    const caller = patcherOf(exchange);
    const patch = await parseBody(await readBody(exchange.request, context.clock), 'application/json');
    return patchScale(context, { place, caller, type, patch });
  };
  await show(call, scaleKind, await answer());
}

async function handleObject(call: Call, kind: Kind): Promise<void> {
  const { info, exchange, context } = call;
  const place = placeOf(kind, info);
  switch (info.verb) {
    case 'get':
      return show(call, kind, await get(context, place, version(exchange)));
    case 'watch':
      return handleWatch(call, kind);
    case 'update': {
      const body = await bodyOf(call);
      return show(call, kind, await update(context, { place, target: 'object', body, caller: callerOf(exchange) }));
    }
    case 'patch':
      return handlePatch(call, kind, 'object');
    case 'delete': {
      const { dryRun, ...options } = deleteOptionsOf(exchange.query, await optionalBodyOf(call));
      const caller = callerOf(exchange);
      caller.dryRun ||= dryRun;
      const { object, gone } = await deleteObject(context, { place, options, caller });
      if (!gone || kind.showsDeleted) return show(call, kind, object);
      const { group, resource } = kind.ref;
      const status = success({
        name: place.name,
        ...(group ? { group } : {}),
        kind: resource,
        uid: object.metadata.uid,
      });
      return send(exchange, 200, status, call.shown.format);
    }
    default:
      throw methodNotAllowed(kind.ref);
  }
}

async function handlePatch(call: Call, kind: Kind, target: Target): Promise<void> {
  const { exchange, info, context } = call;
  const type = mediaType(exchange.request);
  if (type === applyType) return handleApply(call, kind, target);
  patcherFor(type);
  const body = await parseBody(await readBody(exchange.request, context.clock), 'application/json');
  const caller = patcherOf(exchange);
  const request = { place: placeOf(kind, info), target, type, patch: body, caller };
  return show(call, kind, await patch(context, request));
}

async function handleApply(call: Call, kind: Kind, target: Target): Promise<void> {
  const request = { place: placeOf(kind, call.info), target, ...(await applicationOf(call)) };
  const { object, created } = await apply(call.context, request);
  return show(call, kind, object, created ? 201 : 200);
}

async function applicationOf({ exchange, info, context, authorizer }: Call) {
  const applier = applierOf(exchange);
  const configuration = await parseBody(await readBody(exchange.request, context.clock), 'application/yaml');
  const mayCreate = () => demand(authorizer, { ...attributesOf(exchange, info), verb: 'create' });
  return { ...applier, configuration, mayCreate };
}

async function handleCollection(call: Call, kind: Kind): Promise<void> {
  const { info, exchange, context } = call;
  const { namespace } = info;
  switch (info.verb) {
    case 'list':
      return showList(call, kind);
    case 'watch':
      return handleWatch(call, kind);
    case 'create': {
      if (kind.ref.namespaced && namespace === undefined) {
        throw badRequest('an empty namespace may not be set during creation');
      }
      const body = await bodyOf(call);
      return show(call, kind, await create(context, { kind, namespace, body, caller: callerOf(exchange) }), 201);
    }
    case 'deletecollection': {
      if (kind.singleDeletes) throw methodNotAllowed(kind.ref);
      const { dryRun, ...options } = deleteOptionsOf(exchange.query, await optionalBodyOf(call));
      const caller = callerOf(exchange);
      caller.dryRun ||= dryRun;
      const query = listQueryOf(exchange.query, namespace, '');
      const deleted = await deleteCollection(context, { kind, query, options, caller });
      const resourceVersion = String(deleted.revision);
      return send(exchange, 200, plainList(kind, deleted.items, { resourceVersion }), call.shown.format);
    }
    default:
      throw methodNotAllowed(kind.ref);
  }
}

function handleWatch(call: Call, kind: Kind): Promise<void> {
  const { exchange, info, shown, context } = call;
  const query = listQueryOf(exchange.query, info.namespace, info.name);
  const include = includeObjectOf(exchange.query);
  return answerWatch(context, { exchange, kind, query, representation: shown, include });
}

async function show(call: Call, kind: Kind, object: Stored, code = 200): Promise<void> {
  call.exchange.shown = object.metadata;
  const { as, version: of, format } = call.shown;
  const { resourceVersion } = object.metadata;
  const value =
    as === 'Table'
      ? table([object], { resourceVersion }, tableOptions(call, kind))
      : as === 'PartialObjectMetadata'
        ? partial(object, of)
        : object;
  await send(call.exchange, code, value, format);
}

async function showList(call: Call, kind: Kind): Promise<void> {
  const { exchange, info, context } = call;
  const { as, version: of, format } = call.shown;
  const query = listQueryOf(exchange.query, info.namespace, '');
  if (as === 'Object' && format === 'json' && !wantsPretty(exchange))
    return sendList(exchange, kind, await listAs(context, kind, query, heldFor(exchange)));
  const answer = await list(context, kind, query);
  const metadata = listMetadata(answer);
  const value =
    as === 'Table'
      ? table(answer.items, metadata, tableOptions(call, kind))
      : as === 'PartialObjectMetadataList'
        ? partialList(answer.items, metadata, of)
        : plainList(kind, answer.items, metadata);
  await send(exchange, 200, value, format);
}

function tableOptions({ exchange, shown, context }: Call, kind: Kind) {
  const include = includeObjectOf(exchange.query);
  return { kind, version: shown.version, include, columns: true, nowMs: context.clock.now() };
}

function placeOf(kind: Kind, info: ResourceRequest) {
  if (kind.ref.namespaced && info.namespace === undefined) throw unknownPath();
  return { kind, namespace: info.namespace, name: info.name };
}

const version = ({ query }: Exchange) => query.get('resourceVersion') ?? undefined;

async function bodyOf({ exchange: { request }, context }: Call): Promise<unknown> {
  return parseBody(await readBody(request, context.clock), mediaType(request));
}

async function optionalBodyOf({ exchange: { request }, context }: Call): Promise<unknown> {
  const body = await readBody(request, context.clock);
  return body.length === 0 ? undefined : await parseBody(body, mediaType(request));
}
