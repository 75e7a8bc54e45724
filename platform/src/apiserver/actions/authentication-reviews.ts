/** authentication.k8s.io reviews: who am I, and whose is this token. */
import { z } from 'zod';
import { toTime } from '../../base/clock.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { apiAudiences } from '../auth/service-account-tokens.ts';
import type { UserInfo } from '../auth/user.ts';
import type { Action } from '../meta/action.ts';
import { badRequest } from '../meta/failures.ts';

const group = 'authentication.k8s.io';

const tokenSpec = z.object({ token: z.string().max(64 * 1024), audiences: z.array(z.string()).max(100).nullish() });

export function authenticationReviews(authenticator: Authenticator): Action[] {
  return [...['v1', 'v1beta1'].map(selfSubjectReview), tokenReview(authenticator)];
}

/** kubectl before 1.28 knows only the beta. */
function selfSubjectReview(version: string): Action {
  return {
    group,
    version,
    resource: 'selfsubjectreviews',
    subresource: '',
    namespaced: false,
    kind: { group, version, kind: 'SelfSubjectReview' },
    run: async ({ body, caller, context }) => ({
      ...body,
      metadata: { creationTimestamp: toTime(context.clock.now()) },
      status: { userInfo: userInfo(caller.user) },
    }),
  };
}

function tokenReview(authenticator: Authenticator): Action {
  return {
    group,
    version: 'v1',
    resource: 'tokenreviews',
    subresource: '',
    namespaced: false,
    kind: { group, version: 'v1', kind: 'TokenReview' },
    async run({ body }) {
      const parsed = tokenSpec.safeParse((body as { spec?: unknown }).spec);
      if (!parsed.success || !parsed.data.token)
        throw badRequest('token is required for TokenReview in authentication');
      const { token, audiences } = parsed.data;
      const wanted = audiences?.length ? audiences : apiAudiences;
      const verified = await authenticator.verifyToken(token, wanted);
      const status = verified
        ? { authenticated: true, user: userInfo(verified.user), audiences: verified.audiences }
        : { authenticated: false, error: 'the token is unknown, has expired, or is not for these audiences' };
      // The token itself is not sent back.
      return { ...body, spec: { ...(audiences ? { audiences } : {}) }, status };
    },
  };
}

function userInfo({ name, ...rest }: UserInfo) {
  return { username: name, ...rest };
}
