/** A container's variables: kubelet's makeEnvironmentVariables. Errors are those that CreateContainerConfigError carries. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Container, EnvFromSource, EnvVar, Secret, Service } from 'kubernetes-types/core/v1.js';
import { containerNamed, fieldValue, resourceValue } from '../../volumes/downward-field.ts';
import type { ObjectSource, PodFacts } from '../../volumes/sources.ts';
import { expand } from './expand.ts';
import { linkedServices, serviceVariables } from './service-variables.ts';

export interface EnvInput {
  container: Pick<Container, 'name' | 'env' | 'envFrom' | 'resources'>;
  facts: PodFacts;
  objects: ObjectSource;
  /** The API server as Pods reach it. */
  apiServer: { host: string; port: number };
  /** Of a namespace. Throws SampanError when the API cannot say. */
  services(namespace: string): Promise<Service[]>;
}

/** In the order they are to be set; later names win over earlier ones. */
export async function containerEnv(input: EnvInput): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  const service = await serviceEnv(input);
  for (const source of input.container.envFrom ?? [])
    for (const [name, value] of await fromSource(input, source)) result.set(name, value);
  const declared = new Map<string, string>();
  for (const variable of input.container.env ?? []) {
    const value = await variableValue(
      input,
      variable,
      (name) => declared.get(name) ?? result.get(name) ?? service.get(name),
    );
    if (value === undefined) continue;
    declared.set(variable.name, value);
    result.set(variable.name, value);
  }
  for (const [name, value] of service) if (!result.has(name)) result.set(name, value);
  return result;
}

/** The `kubernetes` service, as every Pod of a cluster sees it, and those of its own namespace unless it wants no links. */
async function serviceEnv({ apiServer, facts, services }: EnvInput): Promise<Map<string, string>> {
  const { host, port } = apiServer;
  const { metadata, spec } = facts.pod;
  const linked = spec?.enableServiceLinks === false ? [] : await services(metadata?.namespace ?? '');
  const kubernetes = serviceVariables({ name: 'kubernetes', address: host, ports: [{ name: 'https', port }] });
  return new Map([...linkedServices(linked), ...kubernetes]);
}

async function fromSource({ facts, objects }: EnvInput, source: EnvFromSource): Promise<[string, string][]> {
  const namespace = facts.pod.metadata?.namespace ?? '';
  const prefix = source.prefix ?? '';
  if (source.configMapRef) {
    const { name = '', optional } = source.configMapRef;
    const map = await objects.configMap(namespace, name);
    if (!map && !optional) throw missing('configmap', name);
    return Object.entries(map?.data ?? {}).map(([key, value]) => [prefix + key, value]);
  }
  const { name = '', optional } = source.secretRef ?? {};
  const secret = await objects.secret(namespace, name);
  if (!secret && !optional) throw missing('secret', name);
  return Object.keys(secret?.data ?? {}).map((key) => [prefix + key, secretText(secret!, key)]);
}

async function variableValue(
  { facts, objects, container }: EnvInput,
  variable: EnvVar,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? '', lookup);
  const namespace = facts.pod.metadata?.namespace ?? '';
  if (from.fieldRef) return fieldValue(facts, from.fieldRef.fieldPath);
  if (from.resourceFieldRef) {
    const { containerName } = from.resourceFieldRef;
    const target = containerName ? containerNamed(facts, containerName) : (container as Container);
    return resourceValue(facts, from.resourceFieldRef, target);
  }
  if (from.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const map = await objects.configMap(namespace, name);
    if (!map && !optional) throw missing('configmap', name);
    const value = map?.data?.[key];
    if (value === undefined && !optional) throw noKey(key, `ConfigMap ${namespace}/${name}`);
    return value;
  }
  if (from.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef;
    const secret = await objects.secret(namespace, name);
    if (!secret && !optional) throw missing('secret', name);
    if (secret?.data?.[key] !== undefined) return secretText(secret, key);
    if (!optional) throw noKey(key, `Secret ${namespace}/${name}`);
    return undefined;
  }
  throw new SampanError('Unsupported', `valueFrom of variable ${variable.name} names no source this node knows`);
}

const secretText = (secret: Secret, key: string): string =>
  Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');

const missing = (kind: string, name: string) => new SampanError('NotFound', `${kind} "${name}" not found`);

const noKey = (key: string, where: string) => new SampanError('NotFound', `couldn't find key ${key} in ${where}`);
