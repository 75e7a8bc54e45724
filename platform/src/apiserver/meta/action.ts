/**
 * What can be POSTed without being a stored kind: reviews, tokens, bindings, evictions. Each is a description with a handler;
 * discovery, authorisation and both clients treat them alike.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { checkStructure } from '@sampan/api/schema/check-structure.ts';
import { hasStructType, typeNameOf } from '@sampan/api/schema/schema.ts';
import type { Caller, VerbContext } from '../verbs/context.ts';
import { settleStructure } from '../verbs/decode.ts';
import { badRequest } from './failures.ts';
import { apiVersionOf } from './kinds.ts';
import { copyOf, isObject, type Stored } from './object.ts';
import type { Status } from './status.ts';

export interface ActionCall {
  context: VerbContext;
  namespace: string | undefined;
  /** '' for actions on a collection. */
  name: string;
  /** The posted object, of the action's kind. */
  body: Stored;
  caller: Caller;
}

export interface Action {
  /** Where it is posted: `pods` and `eviction`, or `tokenreviews` and ''. */
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespaced: boolean;
  /** What is posted. */
  kind: { group: string; version: string; kind: string };
  run(call: ActionCall): Promise<KubeObject | Status>;
}

/** Throws BadRequest when `body` is not of the action's kind. Unknown fields are treated as the caller wishes. */
export function decodeAction(action: Action, body: unknown, caller: Caller): Stored {
  const { kind } = action.kind;
  if (!isObject(body)) throw badRequest(`the object provided is unrecognized (must be of type ${kind})`);
  const object = copyOf(body);
  const { apiVersion = apiVersionOf(action.kind), kind: given = kind } = object;
  if (given !== kind || apiVersion !== apiVersionOf(action.kind)) {
    throw badRequest(
      `${given} in version "${apiVersion}" cannot be handled as a ${kind} in ${apiVersionOf(action.kind)}`,
    );
  }
  const type = typeNameOf(action.kind.group, action.kind.version, kind);
  if (hasStructType(type)) {
    const subject = `${kind} in version "${action.kind.version}" cannot be handled as a ${kind}`;
    settleStructure({ check: (value) => checkStructure(type, value), object, caller, subject });
  }
  const metadata = isObject(object.metadata) ? object.metadata : {};
  return { ...object, apiVersion, kind, metadata } as Stored;
}
