/**
 * Fills ClusterRoles that have an aggregationRule with the rules of those the rule selects (pkg/controller/clusterroleaggregation):
 * in order of their names, each rule once. The roles' own rules are replaced.
 */
import type { KubeClient, KubeObject } from '@sampan/api/client.ts';
import { equalJson } from '@sampan/api/json.ts';
import { rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import { fromLabelSelectorObject, matchesLabels } from '@sampan/api/selectors/label-selector.ts';
import type { ClusterRole, PolicyRule } from 'kubernetes-types/rbac/v1.js';
import type { Clock } from '../base/clock.ts';
import { Informer } from '../base/informer.ts';
import type { Logger } from '../base/log.ts';
import { WorkQueue } from '../base/work-queue.ts';

type Role = ClusterRole & KubeObject;

export class ClusterRoleAggregation {
  readonly #client: KubeClient;
  readonly #queue: WorkQueue;
  readonly #roles: Informer<Role>;

  constructor(options: { client: KubeClient; log: Logger; clock: Clock }) {
    this.#client = options.client;
    this.#queue = new WorkQueue({ ...options, work: (name) => this.#fill(name) });
    this.#roles = new Informer<Role>({
      ...options,
      ref: rbacResources.clusterroles,
      // Any role may be part of any aggregate, or may have been until now; there are few aggregates.
      onChange: () => {
        for (const role of this.#roles.list()) if (role.aggregationRule) this.#queue.add(role.metadata?.name ?? '');
      },
    });
  }

  start(): Promise<void> {
    return this.#roles.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#roles.close(), this.#queue.close()]);
  }

  async #fill(name: string): Promise<void> {
    const role = this.#roles.get(name);
    if (!role?.aggregationRule || role.metadata?.deletionTimestamp) return;
    const rules = aggregatedRules(role, this.#roles.list());
    if (equalJson(rules, role.rules ?? [])) return;
    await this.#client.update<Role>(rbacResources.clusterroles, { ...role, rules });
  }
}

/** The rules of all others that one of the role's selectors matches. */
function aggregatedRules(role: Role, all: readonly Role[]): PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(fromLabelSelectorObject);
  const rules = new Map<string, PolicyRule>();
  const parts = all
    .filter(({ metadata }) => metadata?.name !== role.metadata?.name)
    .filter(({ metadata }) => selectors.some((selector) => matchesLabels(selector, metadata?.labels)))
    .sort((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  for (const part of parts) for (const rule of part.rules ?? []) rules.set(JSON.stringify(rule), rule);
  return [...rules.values()];
}
