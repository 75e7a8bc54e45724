/** Which node a user is: its certificate's name and group say so (pkg/auth/nodeidentifier). */
import { nodesGroup, type UserInfo } from '../user.ts';

const prefix = 'system:node:';

export interface NodeIdentity {
  /** '' where the user is of the nodes' group and bears no node's name. */
  nodeName: string;
}

/** Undefined: no node. A node's name without the group is nobody's. */
export function nodeIdentity(user: UserInfo): NodeIdentity | undefined {
  if (!user.groups.includes(nodesGroup)) return undefined;
  return { nodeName: user.name.startsWith(prefix) ? user.name.slice(prefix.length) : '' };
}
