/** The ConfigMaps and Secrets a Pod refers to: in volumes, in variables, as pull secrets. */
import type { Container, Pod, Volume } from 'kubernetes-types/core/v1.js';

export interface ObjectKey {
  kind: 'ConfigMap' | 'Secret';
  namespace: string;
  name: string;
}

export function referencesOf(pod: Pod): ObjectKey[] {
  const namespace = pod.metadata?.namespace ?? '';
  const spec = pod.spec;
  const names = { ConfigMap: new Set<string>(), Secret: new Set<string>() };
  const add = (kind: ObjectKey['kind'], name: string | undefined) => name && names[kind].add(name);
  for (const volume of spec?.volumes ?? []) addVolume(volume, add);
  for (const container of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) addEnv(container, add);
  for (const container of spec?.ephemeralContainers ?? []) addEnv(container, add);
  for (const reference of spec?.imagePullSecrets ?? []) add('Secret', reference.name);
  return (['ConfigMap', 'Secret'] as const).flatMap((kind) =>
    [...names[kind]].map((name) => ({ kind, namespace, name })),
  );
}

type Add = (kind: ObjectKey['kind'], name: string | undefined) => void;

function addVolume(volume: Volume, add: Add): void {
  add('ConfigMap', volume.configMap?.name);
  add('Secret', volume.secret?.secretName);
  for (const source of volume.projected?.sources ?? []) {
    add('ConfigMap', source.configMap?.name);
    add('Secret', source.secret?.name);
  }
}

function addEnv(container: Pick<Container, 'env' | 'envFrom'>, add: Add): void {
  for (const source of container.envFrom ?? []) {
    add('ConfigMap', source.configMapRef?.name);
    add('Secret', source.secretRef?.name);
  }
  for (const variable of container.env ?? []) {
    add('ConfigMap', variable.valueFrom?.configMapKeyRef?.name);
    add('Secret', variable.valueFrom?.secretKeyRef?.name);
  }
}
