/** Requests for virtual kinds, already authorised: get and list, in every form a stored kind has. */
import { badRequest, methodNotAllowed, unknownPath } from '../meta/failures.ts';
import { partial, partialList, plainList, table } from '../meta/present.ts';
import type { VirtualKind } from '../meta/virtual.ts';
import type { VerbContext } from '../verbs/context.ts';
import { includeObjectOf, listQueryOf } from './caller.ts';
import { type Exchange, send } from './exchange.ts';
import type { Representation } from './negotiate.ts';
import type { ResourceRequest } from './request-info.ts';

interface VirtualRequest {
  context: VerbContext;
  exchange: Exchange;
  info: ResourceRequest;
  shown: Representation;
}

export async function handleVirtual(request: VirtualRequest, kind: VirtualKind): Promise<void> {
  const { exchange, info, shown, context } = request;
  const { namespaced } = kind.ref;
  if (info.subresource || (info.namespace !== undefined && !namespaced)) throw unknownPath();
  if (info.verb === 'list') return send(exchange, 200, await listed(request, kind), shown.format);
  if (info.verb !== 'get') throw methodNotAllowed(kind.ref);
  if (namespaced && info.namespace === undefined) throw unknownPath();
  const object = await kind.get(context, info.name, info.namespace);
  const value =
    shown.as === 'Table'
      ? table([object], {}, tableOptions(request, kind))
      : shown.as === 'PartialObjectMetadata'
        ? partial(object, shown.version)
        : object;
  await send(exchange, 200, value, shown.format);
}

/** All at once, whatever `limit` says: a server may, and there is no version that later pages could be of. */
async function listed(request: VirtualRequest, kind: VirtualKind): Promise<object> {
  const { exchange, info, shown, context } = request;
  const query = listQueryOf(exchange.query, info.namespace, '');
  if (query.continue) throw badRequest('continue key is not valid');
  const { namespace, labelSelector, fieldSelector } = query;
  const items = await kind.list(context, { namespace, labelSelector, fieldSelector });
  if (shown.as === 'Table') return table(items, {}, tableOptions(request, kind));
  if (shown.as === 'PartialObjectMetadataList') return partialList(items, {}, shown.version);
  return plainList(kind, items, {});
}

function tableOptions({ exchange, shown, context }: VirtualRequest, kind: VirtualKind) {
  const include = includeObjectOf(exchange.query);
  return { kind, version: shown.version, include, columns: true, nowMs: context.clock.now() };
}
