/**
 * OpenAPI v3 documents of the group versions we serve, in the form kube-apiserver gives them: enough for kubectl explain, for kubectl's choice of
 * server-side field validation, and for clients that compute strategic merge patches from x-kubernetes-patch-merge-key.
 */
import type { Kind } from '../kind.ts';
import { readDescriptions } from './descriptions.ts';
import { componentName, SchemaComponents } from './open-api-components.ts';
import { operationsOf } from './open-api-paths.ts';
import { typeNameOf } from './schema.ts';

export interface OpenApiDocument {
  openapi: '3.0.0';
  info: { title: string; version: string };
  paths: Record<string, object>;
  components: { schemas: Record<string, object> };
}

/** Of the kinds of one group version, of which there is at least one. Reads the types' descriptions when it is first called. */
export async function openApiV3(kinds: readonly Kind[], serverVersion = '1.33'): Promise<OpenApiDocument> {
  const components = new SchemaComponents(await readDescriptions());
  const paths: Record<string, object> = {};
  for (const kind of kinds) {
    const { group, version } = kind.ref;
    const component = componentOf(kind);
    const gvk = { group, version, kind: kind.kind };
    if (kind.openApiSchema) components.addCustom(component, kind.openApiSchema, gvk);
    else components.addKind(typeNameOf(group, version, kind.kind), gvk);
    components.addList(component, gvk);
    Object.assign(paths, operationsOf(kind, component));
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
