/**
 * Writes api/src/generated/{schemas,descriptions}.json: the structure of every kind we serve, and the words `kubectl explain` prints.
 *
 * Run at development time: `node tools/generate-schemas.ts`. Sources: the models of @kubernetes/client-node (fields, formats, which are required,
 * their documentation), and kubernetes-types, which alone tells quantities from plain strings and the API group of a nested type.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { SchemaData } from '../api/src/schema/schema-data.ts';

/** Model name to the group its unshared types belong to. Every type they reach is written. */
const roots: Record<string, string> = {
  V1Pod: 'core',
  V1Binding: 'core',
  V1Namespace: 'core',
  V1Node: 'core',
  V1ConfigMap: 'core',
  V1Secret: 'core',
  V1ServiceAccount: 'core',
  V1Service: 'core',
  CoreV1Event: 'core',
  EventsV1Event: 'events.k8s.io',
  V1Lease: 'coordination.k8s.io',
  V1RuntimeClass: 'node.k8s.io',
  V1PriorityClass: 'scheduling.k8s.io',
  V1Eviction: 'policy',
  V1Scale: 'autoscaling',
  V1HorizontalPodAutoscaler: 'autoscaling',
  V2HorizontalPodAutoscaler: 'autoscaling',
  V1PodDisruptionBudget: 'policy',
  V1Endpoints: 'core',
  V1PersistentVolume: 'core',
  V1PersistentVolumeClaim: 'core',
  V1LimitRange: 'core',
  V1ResourceQuota: 'core',
  V1PodTemplate: 'core',
  V1ReplicationController: 'core',
  V1Deployment: 'apps',
  V1ReplicaSet: 'apps',
  V1StatefulSet: 'apps',
  V1DaemonSet: 'apps',
  V1ControllerRevision: 'apps',
  V1Job: 'batch',
  V1CronJob: 'batch',
  V1NetworkPolicy: 'networking.k8s.io',
  V1Ingress: 'networking.k8s.io',
  V1IngressClass: 'networking.k8s.io',
  V1EndpointSlice: 'discovery.k8s.io',
  V1StorageClass: 'storage.k8s.io',
  V1CSINode: 'storage.k8s.io',
  V1Role: 'rbac.authorization.k8s.io',
  V1RoleBinding: 'rbac.authorization.k8s.io',
  V1ClusterRole: 'rbac.authorization.k8s.io',
  V1ClusterRoleBinding: 'rbac.authorization.k8s.io',
  V1CertificateSigningRequest: 'certificates.k8s.io',
  V1CustomResourceDefinition: 'apiextensions.k8s.io',
  AuthenticationV1TokenRequest: 'authentication.k8s.io',
  V1TokenReview: 'authentication.k8s.io',
  V1SelfSubjectReview: 'authentication.k8s.io',
  V1SubjectAccessReview: 'authorization.k8s.io',
  V1SelfSubjectAccessReview: 'authorization.k8s.io',
  V1LocalSubjectAccessReview: 'authorization.k8s.io',
  V1SelfSubjectRulesReview: 'authorization.k8s.io',
  V1DeleteOptions: 'meta',
  V1Status: 'meta',
};

/** Quantities in types younger than kubernetes-types; `Type.field`. */
const laterQuantities = new Set(['PodStatus.allocatedResources']);

const packages = join(dirname(fileURLToPath(import.meta.url)), '../node_modules');
const models = join(packages, '@kubernetes/client-node/dist/gen/models');
const output = join(dirname(fileURLToPath(import.meta.url)), '../api/src/generated');

interface Attribute {
  baseName: string;
  type: string;
  format: string;
}

/** What kubernetes-types adds: `Type.field` of quantities, and the group of each type name. */
async function readKubernetesTypes(): Promise<{ quantities: Set<string>; groupsOf: Map<string, Set<string>> }> {
  const quantities = new Set(laterQuantities);
  const groupsOf = new Map<string, Set<string>>();
  for (const folder of await readdir(join(packages, 'kubernetes-types'))) {
    const files = ['v1.d.ts', 'v2.d.ts'].map((file) =>
      readFile(join(packages, 'kubernetes-types', folder, file), 'utf8'),
    );
    const text = (await Promise.all(files.map((file) => file.catch(() => '')))).join('\n');
    for (const [, name, body] of text.matchAll(/export interface (\w+) \{\n([\s\S]*?)\n\}/g)) {
      groupsOf.set(name!, (groupsOf.get(name!) ?? new Set()).add(folder));
      const fields = body!.matchAll(/^ {4}(\w+)\??: (?:Quantity|\{\s*\[name: string\]: Quantity;\s*\})/gm);
      for (const [, field] of fields) quantities.add(`${name}.${field}`);
    }
  }
  return { quantities, groupsOf };
}

const { quantities, groupsOf } = await readKubernetesTypes();
const data: SchemaData = { source: await sourceVersion(), types: {} };
const descriptions: Record<string, Record<string, string>> = {};

async function sourceVersion(): Promise<string> {
  const { name, version } = JSON.parse(await readFile(join(packages, '@kubernetes/client-node/package.json'), 'utf8'));
  return `${name}@${version}`;
}

/** `core/v1.Container` for model V1Container; a type shared between groups belongs to meta or core. */
function typeName(model: string, group: string): string {
  const name = model.replace(/^[A-Z]\w*?V1(?=[A-Z])|^V[12]/, '');
  const version = model.startsWith('V2') ? 'v2' : 'v1';
  if (model in roots) return `${roots[model]}/${version}.${name}`;
  if (version === 'v2') return `${group}/v2.${name}`;
  const groups = groupsOf.get(name);
  for (const shared of ['meta', 'core']) if (groups?.has(shared)) return `${shared}/v1.${name}`;
  return `${group}/v1.${name}`;
}

async function visit(model: string, group: string): Promise<string> {
  const name = typeName(model, group);
  if (data.types[name]) return name;
  const entry: SchemaData['types'][string] = { fields: {} };
  data.types[name] = entry;
  const attributes = await attributesOf(model);
  const declaration = await readFile(join(models, `${model}.d.ts`), 'utf8');
  const documentation: Record<string, string> = { '': documentationOf(declaration, `export declare class ${model}`) };
  const required: string[] = [];
  for (const attribute of attributes.sort((a, b) => (a.baseName < b.baseName ? -1 : 1))) {
    const field = attribute.baseName;
    entry.fields[field] = await fieldType(attribute, name);
    if (new RegExp(`^    '_?${escapeForPattern(field)}':`, 'm').test(declaration)) required.push(field);
    documentation[field] = documentationOf(declaration, `'${field}'`) || documentationOf(declaration, `'_${field}'`);
  }
  if (required.length > 0) entry.required = required;
  descriptions[name] = documentation;
  return name;
}

async function attributesOf(model: string): Promise<Attribute[]> {
  const module = await import(pathToFileURL(join(models, `${model}.js`)).href);
  return [...module[model].attributeTypeMap];
}

async function fieldType({ baseName, type, format }: Attribute, owner: string): Promise<string> {
  const array = /^Array<(.+)>$/.exec(type);
  if (array) return `[]${await fieldType({ baseName, type: array[1]!, format }, owner)}`;
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map) return `map[string]${await fieldType({ baseName, type: map[1]!, format }, owner)}`;
  if (type === 'string') return stringType(baseName, format, owner);
  const scalar = scalars[`${type}:${format}`] ?? scalars[type];
  return scalar ?? (await visit(type, owner.split('/')[0]!));
}

const scalars: Record<string, string> = {
  'number:int64': 'int64',
  'number:double': 'float64',
  number: 'int32',
  boolean: 'bool',
  'Date:date-time-micro': 'microtime',
  Date: 'time',
  V1MicroTime: 'microtime',
  IntOrString: 'intorstr',
  any: 'any',
};

function stringType(field: string, format: string, owner: string): string {
  if (format === 'byte') return 'bytes';
  return quantities.has(`${owner.split('.').at(-1)}.${field}`) ? 'quantity' : 'string';
}

/** The comment right above a line that holds `anchor`. */
function documentationOf(declaration: string, anchor: string): string {
  const at = declaration.search(
    new RegExp(`^\\s*${escapeForPattern(anchor)}\\b|^\\s*${escapeForPattern(anchor)}[?:]`, 'm'),
  );
  const start = declaration.lastIndexOf('/**', at);
  if (at < 0 || start < 0) return '';
  const end = declaration.indexOf('*/', start);
  if (declaration.slice(end + 2, at).trim() !== '') return '';
  const comment = declaration.slice(start + 3, end);
  const text = comment.replace(/^\s*\* ?/gm, '').replace(/\\(['"`])/g, '$1');
  return text.trim();
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

for (const [model, group] of Object.entries(roots)) await visit(model, group);
const sorted = <T>(record: Record<string, T>) =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
data.types = sorted(data.types);
const lines = (head: string, record: Record<string, unknown>) =>
  `{${head}\n${Object.entries(sorted(record))
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(',\n')}\n}`;
await writeFile(
  join(output, 'schemas.json'),
  `${lines(`"source":${JSON.stringify(data.source)},"types":{`, data.types)}}\n`,
);
await writeFile(join(output, 'descriptions.json'), `${lines('', descriptions)}\n`);
const unknown = Object.keys(data.types).filter((name) => !groupsOf.has(name.split('.').at(-1)!));
console.log(`${Object.keys(data.types).length} types; younger than kubernetes-types: ${unknown.join(' ')}`);
