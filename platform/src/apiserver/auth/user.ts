/** Who asks: what authentication finds out and authorisation decides on (authentication.k8s.io UserInfo). */
export interface UserInfo {
  name: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** The group that may do everything. */
export const masters = 'system:masters';
export const authenticated = 'system:authenticated';
export const unauthenticated = 'system:unauthenticated';
export const nodesGroup = 'system:nodes';

export const anonymous: UserInfo = { name: 'system:anonymous', groups: [unauthenticated] };

/** A part of the platform itself, calling in process: `system:kube-scheduler` and the like. */
export function systemUser(name: string): UserInfo {
  return { name, groups: [masters, authenticated] };
}

const accountPrefix = 'system:serviceaccount:';

export function serviceAccountUser(namespace: string, name: string, uid: string): UserInfo {
  return {
    name: `${accountPrefix}${namespace}:${name}`,
    uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated],
  };
}
