/**
 * OpenAPI v3 documents of the group versions we serve, in the form kube-apiserver gives them: enough for kubectl explain, for kubectl's choice of
 * server-side field validation, and for clients that compute strategic merge patches from x-kubernetes-patch-merge-key.
 */
import type { Kind } from '../kind.ts';
import { readDescriptions } from './descriptions.ts';
import { componentName, SchemaComponents } from './open-api-components.ts';
import { operationsOf, operationsOfPosted, type Posted, scaleShown } from './open-api-paths.ts';
import { podLogPath } from './open-api-pod-log.ts';
import { typeNameOf } from './schema.ts';

export interface OpenApiDocument {
  openapi: '3.0.0';
  info: { title: string; version: string };
  paths: Record<string, object>;
  components: { schemas: Record<string, object> };
}

/** What one document describes: all that is served under one group version. */
export interface Described {
  kinds: readonly Kind[];
  posted?: readonly Posted[];
}

const serverVersion = '1.33';

/** Reads the types' descriptions when it is first called. */
export async function openApiV3({ kinds, posted = [] }: Described): Promise<OpenApiDocument> {
  const components = new SchemaComponents(await readDescriptions());
  const paths: Record<string, object> = {};
  for (const kind of kinds) {
    const { group, version } = kind.ref;
    const component = componentOf(kind);
    const gvk = { group, version, kind: kind.kind };
    if (kind.openApiSchema) components.addCustom(component, kind.openApiSchema, gvk);
    else components.addKind(gvk);
    components.addList(component, gvk);
    if (kind.subresources.includes('scale')) components.addKind(scaleShown);
    Object.assign(paths, operationsOf(kind, component));
    if (group === '' && kind.ref.resource === 'pods') Object.assign(paths, podLogPath);
  }
  for (const one of posted) {
    components.addKind(one.kind);
    const owner = kinds.find(({ ref }) => ref.resource === one.resource)?.kind ?? '';
    Object.assign(paths, operationsOfPosted(one, owner));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: serverVersion },
    paths,
    components: { schemas: components.schemas },
  };
}

/** Custom kinds are named by their group read backwards: `com.example.stable.v1.CronTab`. */
function componentOf({ ref: { group, version }, kind, openApiSchema }: Kind): string {
  if (!openApiSchema) return componentName(typeNameOf(group, version, kind));
  return [...group.split('.').reverse(), version, kind].join('.');
}
