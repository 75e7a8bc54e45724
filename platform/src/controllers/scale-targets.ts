/** Where the `scale` of an object named by apiVersion and kind is found: among the built-in kinds, then among the custom ones. */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { Scale } from 'kubernetes-types/autoscaling/v1.js';

export type ScaleObject = Scale & KubeObject;

export interface ScaleTarget {
  apiVersion: string;
  kind: string;
  name: string;
  namespace: string;
}

/** Throws NotFound when the kind, its scale or the object is not there. */
export async function readScale(
  client: KubeClient,
  target: ScaleTarget,
): Promise<{ ref: ResourceRef; scale: ScaleObject }> {
  const ref = await scalableRef(client, target);
  return { ref, scale: await client.get<ScaleObject>(ref, target.name, target.namespace, 'scale') };
}

async function scalableRef(client: KubeClient, { apiVersion, kind }: ScaleTarget): Promise<ResourceRef> {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const known = allKinds.find((one) => one.kind === kind && one.ref.group === group && one.ref.version === version);
  if (known?.scale) return known.ref;
  if (known) {
    const resource = group ? `${known.ref.resource}.${group}` : known.ref.resource;
    throw new SampanError('NotFound', `${resource} does not implement the scale subresource`);
  }
  const custom = await customRef(client, { group: group!, version: version ?? '', kind });
  if (custom) return custom;
  throw new SampanError('NotFound', `no matches for kind "${kind}" in version "${apiVersion}"`);
}

interface Definition extends KubeObject {
  spec?: {
    group?: string;
    scope?: string;
    names?: { kind?: string; plural?: string };
    versions?: { name?: string; served?: boolean; subresources?: { scale?: unknown } }[];
  };
}

async function customRef(
  client: KubeClient,
  wanted: { group: string; version: string; kind: string },
): Promise<ResourceRef | undefined> {
  const { items } = await client.list<Definition>(resources.customresourcedefinitions);
  for (const { spec } of items) {
    if (spec?.group !== wanted.group || spec.names?.kind !== wanted.kind) continue;
    const version = spec.versions?.find(({ name, served }) => name === wanted.version && served);
    if (!version?.subresources?.scale) continue;
    const { group, version: name } = wanted;
    return { group, version: name, resource: spec.names.plural ?? '', namespaced: spec.scope === 'Namespaced' };
  }
  return undefined;
}
