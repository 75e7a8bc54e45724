/**
 * The authorisation seam: may this user do that? Authorizers are asked in turn; the first that allows ends it, none means no.
 * Owns the question and the built-in answers for admins and discovery; nodes (node/) and RBAC (rbac/) join the chain as other Authorizers.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { forbidden } from '../meta/failures.ts';
import { authenticated, masters, type UserInfo } from './user.ts';

/** authorization.k8s.io ResourceAttributes or NonResourceAttributes. */
export type Attributes =
  | {
      user: UserInfo;
      verb: string;
      group: string;
      version: string;
      resource: string;
      subresource: string;
      /** '' when cluster-scoped or all namespaces. */
      namespace: string;
      name: string;
      /** Of a list or watch, as it was asked. */
      fieldSelector?: string;
      path?: undefined;
    }
  | { user: UserInfo; verb: string; path: string };

export type ResourceAttributes = Extract<Attributes, { resource: string }>;

export interface ResourceRule {
  verbs: string[];
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
}

export interface NonResourceRule {
  verbs: string[];
  nonResourceURLs: string[];
}

export interface Rules {
  resourceRules: ResourceRule[];
  nonResourceRules: NonResourceRule[];
}

export interface Authorizer {
  authorize(attributes: Attributes): Promise<{ allowed: boolean; reason?: string }>;
  /** What the user may do in a namespace, for `kubectl auth can-i --list`. */
  rulesFor(user: UserInfo, namespace: string): Promise<Rules>;
}

export class AuthorizerChain implements Authorizer {
  readonly #authorizers: readonly Authorizer[];

  constructor(authorizers: readonly Authorizer[]) {
    this.#authorizers = authorizers;
  }

  async authorize(attributes: Attributes): Promise<{ allowed: boolean; reason?: string }> {
    const reasons: string[] = [];
    for (const authorizer of this.#authorizers) {
      const answer = await authorizer.authorize(attributes);
      if (answer.allowed) return answer;
      if (answer.reason) reasons.push(answer.reason);
    }
    return { allowed: false, reason: reasons.join('; ') };
  }

  async rulesFor(user: UserInfo, namespace: string): Promise<Rules> {
    const all = await Promise.all(this.#authorizers.map((one) => one.rulesFor(user, namespace)));
    return {
      resourceRules: distinct(
        all.flatMap((rules) => rules.resourceRules),
        'resources',
      ),
      nonResourceRules: distinct(
        all.flatMap((rules) => rules.nonResourceRules),
        'nonResourceURLs',
      ),
    };
  }
}

/** What two authorizers allow alike is told once: clients print every entry. */
function distinct<K extends string, T extends Record<K, string[]>>(rules: T[], key: K): T[] {
  const told = new Set<string>();
  const isNew = (rule: T, value: string) => {
    const text = JSON.stringify({ ...rule, [key]: value });
    if (told.has(text)) return false;
    told.add(text);
    return true;
  };
  return rules
    .map((rule) => ({ ...rule, [key]: rule[key].filter((value) => isNew(rule, value)) }))
    .filter((rule) => rule[key].length > 0);
}

/** A list or watch of one object by its name is that object's, for rules that name objects; '' for any other. */
export function namedBy(fieldSelector: string | undefined): string {
  return /(?:^|,)metadata\.name==?([^,=!]+)(?:,|$)/.exec(fieldSelector ?? '')?.[1] ?? '';
}

/** Throws Forbidden in the words of apiserver/pkg/endpoints/handlers/responsewriters. */
export async function demand(authorizer: Authorizer, attributes: Attributes): Promise<void> {
  const { allowed, reason } = await authorizer.authorize(attributes);
  if (!allowed) throw denial(attributes, reason);
}

function denial(attributes: Attributes, reason: string | undefined): SampanError {
  const tail = reason ? `: ${reason}` : '';
  const user = `User "${attributes.user.name}"`;
  if (attributes.path !== undefined) {
    const message = `${user} cannot ${attributes.verb} path "${attributes.path}"${tail}`;
    return new SampanError('Forbidden', `forbidden: ${message}`);
  }
  const { verb, group, resource, subresource, namespace, name } = attributes as ResourceAttributes;
  const what = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace "${namespace}"` : 'at the cluster scope';
  return forbidden(
    { group, resource },
    name,
    `${user} cannot ${verb} resource "${what}" in API group "${group}" ${where}${tail}`,
  );
}

/** A fixed set of rules for one group of users. */
export function groupAuthorizer(group: string, rules: Rules): Authorizer {
  const none = { resourceRules: [], nonResourceRules: [] };
  return {
    async authorize(attributes) {
      if (!attributes.user.groups.includes(group)) return { allowed: false };
      return { allowed: permits(rules, attributes) };
    },
    async rulesFor(user) {
      return user.groups.includes(group) ? rules : none;
    },
  };
}

export function permits(rules: Rules, attributes: Attributes): boolean {
  if (attributes.path !== undefined) {
    const { verb, path } = attributes;
    return rules.nonResourceRules.some(
      (rule) => holds(rule.verbs, verb) && rule.nonResourceURLs.some((pattern) => matchesPath(pattern, path)),
    );
  }
  const { verb, group, resource, subresource, name } = attributes as ResourceAttributes;
  const full = subresource ? `${resource}/${subresource}` : resource;
  return rules.resourceRules.some(
    (rule) =>
      holds(rule.verbs, verb) &&
      holds(rule.apiGroups, group) &&
      (holds(rule.resources, full) || (subresource !== '' && rule.resources.includes(`*/${subresource}`))) &&
      (!rule.resourceNames?.length || rule.resourceNames.includes(name)),
  );
}

const holds = (list: string[], value: string) => list.includes('*') || list.includes(value);

function matchesPath(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** Who may do anything. */
export const mastersAuthorizer = groupAuthorizer(masters, {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
});

export const openPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/'];

/** Everybody who is somebody may discover the API and ask about himself (system:discovery, system:basic-user). */
export const discoveryAuthorizer = groupAuthorizer(authenticated, {
  resourceRules: [
    {
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    },
    { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
  ],
  nonResourceRules: [
    {
      verbs: ['get'],
      nonResourceURLs: [...openPaths, '/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*'],
    },
    { verbs: ['get'], nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'] },
  ],
});
