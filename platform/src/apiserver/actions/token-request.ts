/** POST serviceaccounts/<name>/token: a fresh token, bound to a Pod or Secret where asked. */
import { resources } from '@sampan/api/client.ts';
import type { Cause } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { z } from 'zod';
import { toTime } from '../../base/clock.ts';
import { nodeIdentity } from '../auth/node/node-identity.ts';
import { apiAudiences, type PrivateClaims, type ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import type { Action, ActionCall } from '../meta/action.ts';
import { badRequest, conflict, forbidden, invalid, notFound } from '../meta/failures.ts';
import { readerOf } from '../verbs/context.ts';

const bound = z.object({
  kind: z.string().optional(),
  apiVersion: z.string().optional(),
  name: z.string().default(''),
  uid: z.string().optional(),
});

const requestSpec = z.object({
  audiences: z.array(z.string()).max(100).nullish(),
  expirationSeconds: z.number().int().nullish(),
  boundObjectRef: bound.nullish(),
});

type BoundRef = z.infer<typeof bound>;

const defaultSeconds = 3600;
const minSeconds = 600;
const maxSeconds = 2 ** 32;

export function tokenRequest(tokens: ServiceAccountTokens): Action {
  const ref = resources.serviceaccounts;
  return {
    ...ref,
    subresource: 'token',
    kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
    async run(call) {
      const { context, namespace, name, body } = call;
      const spec = parseSpec(call);
      checkPlace(call);
      await context.cache.fresh();
      const account = readerOf(context).get(ref, name, namespace);
      if (!account || namespace === undefined) throw notFound(ref, name);
      const serviceaccount = { name, uid: account.metadata.uid ?? '' };
      checkNode(call, spec.boundObjectRef);
      const binding = spec.boundObjectRef ? bindingOf(call, spec.boundObjectRef) : {};
      const audiences = spec.audiences?.length ? spec.audiences : [apiAudiences[0] as string];
      const expirationSeconds = Math.min(spec.expirationSeconds ?? defaultSeconds, maxSeconds);
      const claims: PrivateClaims = { namespace, serviceaccount, ...binding };
      const { token, expirationMs } = await tokens.sign({ claims, audiences, expirationSeconds });
      return {
        ...body,
        metadata: { ...body.metadata, name, namespace, creationTimestamp: toTime(context.clock.now()) },
        spec: { ...spec, audiences, expirationSeconds },
        status: { token, expirationTimestamp: toTime(expirationMs) },
      };
    },
  };
}

function parseSpec({ body, name }: ActionCall) {
  const parsed = requestSpec.safeParse((body as { spec?: unknown }).spec ?? {});
  if (!parsed.success) throw badRequest(`TokenRequest: ${z.prettifyError(parsed.error)}`);
  const seconds = parsed.data.expirationSeconds;
  if (seconds === undefined || seconds === null || (seconds >= minSeconds && seconds <= maxSeconds)) return parsed.data;
  const limit = seconds < minSeconds ? 'less than 10 minutes' : 'larger than 2^32 seconds';
  const message = `Invalid value: ${seconds}: may not specify a duration ${limit}`;
  const cause: Cause = { reason: 'FieldValueInvalid', message, field: 'spec.expirationSeconds' };
  throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, name, [cause]);
}

/** What the body says of its name and namespace is the service account's. */
function checkPlace({ body, name, namespace }: ActionCall): void {
  const causes: Cause[] = [];
  const check = (field: 'name' | 'namespace', wanted: string | undefined) => {
    const given = body.metadata[field];
    if (!given || given === wanted) return;
    const message = `Invalid value: ${JSON.stringify(given)}: must match the service account ${field} if specified`;
    causes.push({ reason: 'FieldValueInvalid', message, field: `metadata.${field}` });
  };
  check('name', name);
  check('namespace', namespace);
  if (causes.length > 0) throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, name, causes);
}

/** A node asks for tokens of its own Pods, and for no others (plugin NodeRestriction). */
function checkNode({ context, namespace, name, caller }: ActionCall, wanted: BoundRef | null | undefined): void {
  const node = nodeIdentity(caller.user);
  if (!node) return;
  const refuse = (why: string) => forbidden(resources.serviceaccounts, name, `node requested token ${why}`);
  if (wanted?.kind !== 'Pod' || (wanted.apiVersion ?? 'v1') !== 'v1') throw refuse('not bound to a pod');
  if (!wanted.uid) throw refuse('with a pod binding without a uid');
  const pod = readerOf(context).get(resources.pods, wanted.name, namespace) as Pod | undefined;
  if (pod && pod.spec?.nodeName !== node.nodeName) throw refuse('bound to a pod scheduled on a different node');
}

/** The claims that tie the token to a Pod or Secret of the account's namespace. */
function bindingOf({ context, namespace, name }: ActionCall, wanted: BoundRef): Partial<PrivateClaims> {
  const { kind } = wanted;
  if (kind !== 'Pod' && kind !== 'Secret') throw badRequest(`cannot bind token to object of type ${kind}`);
  const ref = kind === 'Pod' ? resources.pods : resources.secrets;
  const object = readerOf(context).get(ref, wanted.name, namespace);
  if (!object) throw notFound(ref, wanted.name);
  const uid = object.metadata.uid ?? '';
  if (wanted.uid && wanted.uid !== uid) {
    const why = `the UID in the bound object reference (${wanted.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict(ref, wanted.name, why);
  }
  if (kind === 'Secret') return { secret: { name: wanted.name, uid } };
  const pod = object as Pod;
  if (pod.spec?.serviceAccountName !== name) {
    const why = `cannot bind token for serviceaccount "${name}" to pod running with different serviceaccount name.`;
    throw forbidden(ref, wanted.name, why);
  }
  const { nodeName } = pod.spec;
  const node = nodeName ? readerOf(context).get(resources.nodes, nodeName) : undefined;
  return {
    pod: { name: wanted.name, uid },
    ...(nodeName ? { node: { name: nodeName, uid: node?.metadata.uid } } : {}),
  };
}
