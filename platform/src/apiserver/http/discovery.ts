/**
 * Discovery: which groups, versions, resources and verbs there are, in the three forms clients know
 * (per group version, aggregated v2beta1 and v2). Computed again whenever the table of kinds has changed.
 */
import { compareVersions } from '@sampan/api/custom/version-order.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Action } from '../meta/action.ts';
import type { KindTable } from '../meta/kinds.ts';
import type { VirtualKind } from '../meta/virtual.ts';

interface Resource {
  group: string;
  version: string;
  /** `pods` or `pods/log`. */
  name: string;
  singular: string;
  namespaced: boolean;
  /** What is read or posted there. */
  kind: { group: string; version: string; kind: string };
  verbs: string[];
  shortNames: string[];
  categories: string[];
}

const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Subresources of Pods that are connections and so neither views nor actions. */
const connections: Record<string, { kind: string; verbs: string[] }> = {
  log: { kind: 'Pod', verbs: ['get'] },
  exec: { kind: 'PodExecOptions', verbs: ['create', 'get'] },
  attach: { kind: 'PodAttachOptions', verbs: ['create', 'get'] },
  portforward: { kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  proxy: { kind: 'PodProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] },
};

export class Discovery {
  readonly #kinds: KindTable;
  /** Actions and virtual kinds, which stay. */
  readonly #fixed: Resource[];
  #made: { version: number; resources: Resource[]; groups: Map<string, string[]> } | undefined;

  constructor(kinds: KindTable, actions: readonly Action[], virtualKinds: readonly VirtualKind[]) {
    this.#kinds = kinds;
    this.#fixed = [...actions.map(resourceOfAction), ...virtualKinds.map(resourceOfVirtual)];
  }

  #current() {
    const { version, all } = this.#kinds;
    if (this.#made?.version !== version) {
      const resources = [...all.flatMap(resourcesOf), ...this.#fixed];
      this.#made = { version, resources, groups: groupsOf(resources) };
    }
    return this.#made;
  }

  get #resources(): Resource[] {
    return this.#current().resources;
  }

  get #groups(): Map<string, string[]> {
    return this.#current().groups;
  }

  /** Group names with their versions, the core group ('') among them. */
  get groups(): ReadonlyMap<string, string[]> {
    return this.#groups;
  }

  /** GET /api */
  coreVersions(serverAddress: string): object {
    return {
      kind: 'APIVersions',
      versions: this.#groups.get('') ?? [],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
    };
  }

  /** GET /apis */
  groupList(): object {
    const names = [...this.#groups.keys()].filter((name) => name !== '');
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: names.map((name) => this.#group(name)) };
  }

  /** GET /apis/<group>; undefined when there is none. */
  groupNamed(name: string): object | undefined {
    if (!name || !this.#groups.has(name)) return undefined;
    return { kind: 'APIGroup', apiVersion: 'v1', ...this.#group(name) };
  }

  /** GET /api/v1 or /apis/<group>/<version>; undefined when there is none. */
  resourceList(group: string, version: string): object | undefined {
    if (!this.#groups.get(group)?.includes(version)) return undefined;
    const resources = this.#in(group, version).map((one) => ({
      name: one.name,
      singularName: one.singular,
      namespaced: one.namespaced,
      ...(one.kind.group !== group || one.kind.version !== version
        ? { group: one.kind.group, version: one.kind.version }
        : {}),
      kind: one.kind.kind,
      verbs: one.verbs,
      ...(one.shortNames.length > 0 ? { shortNames: one.shortNames } : {}),
      ...(one.categories.length > 0 ? { categories: one.categories } : {}),
    }));
    const groupVersion = group ? `${group}/${version}` : version;
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
  }

  /** GET /api or /apis as apidiscovery.k8s.io. */
  aggregated(version: string, core: boolean): object {
    const names = [...this.#groups.keys()].filter((name) => (name === '') === core);
    return {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: names.map((name) => ({
        metadata: { ...(name ? { name } : {}), creationTimestamp: null },
        versions: (this.#groups.get(name) ?? []).map((each) => ({
          version: each,
          resources: this.#aggregatedResources(name, each),
          freshness: 'Current',
        })),
      })),
    };
  }

  #aggregatedResources(group: string, version: string): object[] {
    const all = this.#in(group, version);
    const parents = [...new Set(all.map(({ name }) => name.split('/')[0] as string))];
    return parents.map((parent) => {
      const main = all.find(({ name }) => name === parent);
      const subresources = all
        .filter(({ name }) => name.startsWith(`${parent}/`))
        .map((one) => ({ subresource: one.name.slice(parent.length + 1), responseKind: one.kind, verbs: one.verbs }));
      return {
        resource: parent,
        ...(main ? { responseKind: main.kind } : {}),
        scope: (main ?? all.find(({ name }) => name.startsWith(`${parent}/`)))?.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: main?.singular ?? '',
        verbs: main?.verbs ?? [],
        ...(main && main.shortNames.length > 0 ? { shortNames: main.shortNames } : {}),
        ...(main && main.categories.length > 0 ? { categories: main.categories } : {}),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    });
  }

  #in(group: string, version: string): Resource[] {
    return this.#resources
      .filter((one) => one.group === group && one.version === version)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #group(name: string) {
    const versions = (this.#groups.get(name) ?? []).map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { name, versions, preferredVersion: versions[0] };
  }
}

/** Groups in the order they were first named, each with its versions, the preferred one first. */
function groupsOf(resources: readonly Resource[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { group, version } of resources) {
    const versions = groups.get(group) ?? [];
    if (!versions.includes(version)) versions.push(version);
    groups.set(group, versions.sort(compareVersions));
  }
  return groups;
}

function resourcesOf(kind: Kind): Resource[] {
  const { group, version, resource, namespaced } = kind.ref;
  const self = { group, version, kind: kind.kind };
  const base = { group, version, namespaced, singular: '', shortNames: [], categories: [] };
  const views = kind.subresources.map((name) => ({
    ...base,
    name: `${resource}/${name}`,
    kind: name === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : self,
    verbs: name === 'finalize' ? ['update'] : ['get', 'patch', 'update'],
  }));
  const streams = group === '' && resource === 'pods' ? Object.entries(connections) : [];
  return [
    {
      ...base,
      name: resource,
      singular: kind.singular,
      kind: self,
      verbs: kind.singleDeletes ? allVerbs.filter((verb) => verb !== 'deletecollection') : allVerbs,
      shortNames: kind.shortNames,
      categories: kind.categories,
    },
    ...views,
    ...streams.map(([name, connection]) => ({
      ...base,
      name: `${resource}/${name}`,
      kind: { group, version, kind: connection.kind },
      verbs: connection.verbs,
    })),
  ];
}

function resourceOfAction(action: Action): Resource {
  const { group, version, resource, subresource, namespaced, kind } = action;
  const name = subresource ? `${resource}/${subresource}` : resource;
  const singular = subresource ? '' : kind.kind.toLowerCase();
  return { group, version, name, singular, namespaced, kind, verbs: ['create'], shortNames: [], categories: [] };
}

function resourceOfVirtual({ ref, kind, singular, shortNames, categories }: VirtualKind): Resource {
  const { group, version, resource, namespaced } = ref;
  const self = { group, version, kind };
  return {
    group,
    version,
    name: resource,
    singular,
    namespaced,
    kind: self,
    verbs: ['get', 'list'],
    shortNames,
    categories,
  };
}
