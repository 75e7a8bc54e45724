/** Field types as the Go decoder names them in its messages. */
import type { FieldType } from './schema.ts';

/** Fields whose Go type is a named string; the schema only says string. */
const namedStrings: Record<string, string> = {
  'Container.imagePullPolicy': 'v1.PullPolicy',
  'EphemeralContainer.imagePullPolicy': 'v1.PullPolicy',
  'Container.terminationMessagePolicy': 'v1.TerminationMessagePolicy',
  'Container.restartPolicy': 'v1.ContainerRestartPolicy',
  'ContainerPort.protocol': 'v1.Protocol',
  'EmptyDirVolumeSource.medium': 'v1.StorageMedium',
  'HTTPGetAction.scheme': 'v1.URIScheme',
  'PodSpec.dnsPolicy': 'v1.DNSPolicy',
  'PodSpec.restartPolicy': 'v1.RestartPolicy',
  'PodSpec.preemptionPolicy': 'v1.PreemptionPolicy',
  'Secret.type': 'v1.SecretType',
  'Toleration.effect': 'v1.TaintEffect',
  'Toleration.operator': 'v1.TolerationOperator',
  'ObjectMeta.uid': 'types.UID',
};

/** Maps whose Go type has a name. */
const namedMaps: Record<string, string> = {
  limits: 'v1.ResourceList',
  requests: 'v1.ResourceList',
  capacity: 'v1.ResourceList',
  allocatable: 'v1.ResourceList',
  overhead: 'v1.ResourceList',
};

const goScalars: Record<string, string> = {
  bytes: '[]uint8',
  time: 'v1.Time',
  microtime: 'v1.MicroTime',
  quantity: 'resource.Quantity',
  intorstr: 'intstr.IntOrString',
  any: 'map[string]interface {}',
};

/** `struct` and `field` are where a value of this type stands. */
export function goType(type: FieldType, struct: string, field: string): string {
  if (type.form === 'struct') return type.name.split('/').at(-1)!;
  if (type.form === 'array') return `[]${goType(type.of, struct, field)}`;
  if (type.form === 'map') return namedMaps[field] ?? `map[string]${goType(type.of, struct, field)}`;
  if (type.scalar === 'string') return namedStrings[`${struct}.${field}`] ?? 'string';
  return goScalars[type.scalar] ?? type.scalar;
}

/** What Go calls a JSON value. */
export function jsonKind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
}
