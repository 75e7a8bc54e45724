/**
 * OpenAPI v3 documents of the group versions we serve, in the form kube-apiserver gives them: enough for kubectl explain, for kubectl's choice of
 * server-side field validation, and for clients that compute strategic merge patches from x-kubernetes-patch-merge-key.
 */
import type { Kind } from '../kind.ts';
import { componentName, SchemaComponents } from './open-api-components.ts';
import { operationsOf } from './open-api-paths.ts';
import { typeNameOf } from './schema.ts';

export interface OpenApiDocument {
  openapi: '3.0.0';
  info: { title: string; version: string };
  paths: Record<string, object>;
  components: { schemas: Record<string, object> };
}

/** `groupVersion` is `v1` or `coordination.k8s.io/v1`; of `kinds` those in it are described. Undefined when there is none. */
export function openApiV3(
  groupVersion: string,
  kinds: readonly Kind[],
  serverVersion = '1.33',
): OpenApiDocument | undefined {
  const served = kinds.filter(({ ref }) => (ref.group ? `${ref.group}/${ref.version}` : ref.version) === groupVersion);
  if (served.length === 0) return undefined;
  const components = new SchemaComponents();
  const paths: Record<string, object> = {};
  for (const kind of served) {
    const { group, version } = kind.ref;
    const type = typeNameOf(group, version, kind.kind);
    const gvk = { group, version, kind: kind.kind };
    components.addKind(type, gvk);
    components.addList(type, gvk);
    Object.assign(paths, operationsOf(kind, componentName(type)));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: serverVersion },
    paths,
    components: { schemas: components.schemas },
  };
}
