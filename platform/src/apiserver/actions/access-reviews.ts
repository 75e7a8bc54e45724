/** authorization.k8s.io reviews: may I, may he, what may I. They ask the authorizer and store nothing. */
import { z } from 'zod';
import type { Attributes, Authorizer } from '../auth/authorizer.ts';
import type { UserInfo } from '../auth/user.ts';
import type { Action, ActionCall } from '../meta/action.ts';
import { badRequest, invalid } from '../meta/failures.ts';

const group = 'authorization.k8s.io';
const version = 'v1';

const text = z.string().nullish();
const resourceAttributes = z.object({
  verb: text,
  group: text,
  version: text,
  resource: text,
  subresource: text,
  namespace: text,
  name: text,
});
const reviewSpec = z.object({
  resourceAttributes: resourceAttributes.nullish(),
  nonResourceAttributes: z.object({ path: text, verb: text }).nullish(),
  user: text,
  groups: z.array(z.string()).nullish(),
  uid: text,
  extra: z.record(z.string(), z.array(z.string())).nullish(),
});

type ReviewSpec = z.infer<typeof reviewSpec>;

/** Reviews are not written for a user, so their spec is the client's own, checked here. */
export function accessReviews(authorizer: Authorizer): Action[] {
  const base = { group, version, subresource: '' };
  const kind = (name: string) => ({ group, version, kind: name });
  const review = async (call: ActionCall, userOf: (spec: ReviewSpec) => UserInfo) => {
    const spec = parse(call, reviewSpec);
    const user = userOf(spec);
    const { allowed, reason } = await authorizer.authorize(attributesOf(call, spec, user));
    return { ...call.body, spec, status: { allowed, ...(reason ? { reason } : {}) } };
  };
  return [
    {
      ...base,
      resource: 'selfsubjectaccessreviews',
      namespaced: false,
      kind: kind('SelfSubjectAccessReview'),
      run: (call) => review(call, () => call.caller.user),
    },
    {
      ...base,
      resource: 'subjectaccessreviews',
      namespaced: false,
      kind: kind('SubjectAccessReview'),
      run: (call) => review(call, (spec) => namedUser(call, spec)),
    },
    {
      ...base,
      resource: 'localsubjectaccessreviews',
      namespaced: true,
      kind: kind('LocalSubjectAccessReview'),
      run: (call) => review(call, (spec) => namedUser(call, within(call, spec))),
    },
    {
      ...base,
      resource: 'selfsubjectrulesreviews',
      namespaced: false,
      kind: kind('SelfSubjectRulesReview'),
      async run(call) {
        const { namespace } = parse(call, z.object({ namespace: text }));
        if (!namespace) throw badRequest('no namespace on request');
        const rules = await authorizer.rulesFor(call.caller.user, namespace);
        return { ...call.body, spec: { namespace }, status: { ...rules, incomplete: false } };
      },
    },
  ];
}

function parse<T>({ body }: ActionCall, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse((body as { spec?: unknown }).spec ?? {});
  if (!parsed.success) throw badRequest(`${body.kind}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Who may ask within a namespace asks of nothing outside. */
function within({ body, namespace }: ActionCall, spec: ReviewSpec): ReviewSpec {
  const asked = spec.resourceAttributes?.namespace;
  if (!spec.resourceAttributes || asked === namespace) return spec;
  const message = `Invalid value: ${JSON.stringify(asked ?? '')}: must match metadata.namespace`;
  throw refuse(body.kind ?? '', 'spec.resourceAttributes.namespace', message);
}

function namedUser({ body }: ActionCall, { user, groups, uid, extra }: ReviewSpec): UserInfo {
  if (!user && !groups?.length) {
    const message = 'Invalid value: "": at least one of user or group must be specified';
    throw refuse(body.kind ?? '', 'spec.user', message);
  }
  return { name: user ?? '', groups: groups ?? [], ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
}

function attributesOf({ body, namespace }: ActionCall, spec: ReviewSpec, user: UserInfo): Attributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  if (!resource === !path) {
    const message =
      'Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified';
    throw refuse(body.kind ?? '', 'spec.resourceAttributes', message);
  }
  if (path) return { user, verb: path.verb ?? '', path: path.path ?? '' };
  return {
    user,
    verb: resource?.verb ?? '',
    group: resource?.group ?? '',
    version: resource?.version ?? '',
    resource: resource?.resource ?? '',
    subresource: resource?.subresource ?? '',
    namespace: resource?.namespace ?? namespace ?? '',
    name: resource?.name ?? '',
  };
}

function refuse(kind: string, field: string, message: string) {
  return invalid({ group, kind }, '', [{ reason: 'FieldValueInvalid', message, field }]);
}
