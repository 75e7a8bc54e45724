/**
 * `kubectl --as`: acting as another user, for those who are allowed to impersonate him. A request with these headers is never answered
 * as its sender: it is the other user's, or refused (apiserver/pkg/endpoints/filters/impersonation).
 */
import { badRequest } from '../meta/failures.ts';
import { type Authorizer, demand } from './authorizer.ts';
import { anonymous, authenticated, serviceAccountUser, type UserInfo, unauthenticated } from './user.ts';

const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';

interface Wanted {
  user?: string;
  uid?: string;
  groups: string[];
  extra: Record<string, string[]>;
}

/** `user` itself where no such header is given. Throws Forbidden, and BadRequest for groups or extras without a user. */
export async function impersonated(
  authorizer: Authorizer,
  user: UserInfo,
  headers: NodeJS.Dict<string[]>,
): Promise<UserInfo> {
  const wanted = wantedOf(headers);
  if (!wanted) return user;
  if (!wanted.user) throw badRequest('requested impersonation of groups, uid or extras without impersonating a user');
  for (const { group = '', resource, name, namespace = '', subresource = '' } of thingsOf(wanted)) {
    await demand(authorizer, {
      user,
      verb: 'impersonate',
      group,
      version: 'v1',
      resource,
      subresource,
      namespace,
      name,
    });
  }
  return userOf(wanted, wanted.user);
}

function wantedOf(headers: NodeJS.Dict<string[]>): Wanted | undefined {
  const wanted: Wanted = { groups: [], extra: {} };
  let any = false;
  for (const [name, values = []] of Object.entries(headers)) {
    if (!name.startsWith(prefix)) continue;
    any = true;
    if (name === 'impersonate-user') wanted.user = values[0];
    else if (name === 'impersonate-uid') wanted.uid = values[0];
    else if (name === 'impersonate-group') wanted.groups = values;
    else if (name.startsWith(extraPrefix)) wanted.extra[unescaped(name.slice(extraPrefix.length))] = values;
    else throw badRequest(`unknown impersonation header ${name}`);
  }
  return any ? wanted : undefined;
}

interface Thing {
  group?: string;
  resource: string;
  subresource?: string;
  namespace?: string;
  name: string;
}

/** Each has to be allowed on its own. */
function thingsOf({ user = '', uid, groups, extra }: Wanted): Thing[] {
  const account = accountOf(user);
  const group = 'authentication.k8s.io';
  return [
    account ? { resource: 'serviceaccounts', ...account } : { resource: 'users', name: user },
    ...groups.map((name) => ({ resource: 'groups', name })),
    ...(uid ? [{ group, resource: 'uids', name: uid }] : []),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((name) => ({ group, resource: 'userextras', subresource: key, name })),
    ),
  ];
}

function userOf({ uid, groups, extra }: Wanted, name: string): UserInfo {
  const account = accountOf(name);
  // A service account is in its groups unless others are named.
  const implied = account && groups.length === 0 ? serviceAccountUser(account.namespace, account.name, '').groups : [];
  const isSettled = groups.includes(authenticated) || groups.includes(unauthenticated);
  const everybody = name === anonymous.name ? unauthenticated : authenticated;
  const all = isSettled ? groups : [...new Set([...implied, ...groups, everybody])];
  return { name, groups: all, ...(uid ? { uid } : {}), ...(Object.keys(extra).length > 0 ? { extra } : {}) };
}

function accountOf(user: string): { namespace: string; name: string } | undefined {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  return match ? { namespace: match[1] as string, name: match[2] as string } : undefined;
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
