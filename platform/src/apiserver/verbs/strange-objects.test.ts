/**
 * Objects of every kind made at random from the schemas: right in structure, senseless otherwise. Whatever they say, the answer is an object
 * or a refusal, never a crash; and what was stored can be read, listed, shown as a Table row, patched and deleted.
 * SAMPAN_SEED repeats a run, SAMPAN_ROUNDS makes it longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { type FieldType, type Scalar, structType, typeNameOf } from '@sampan/api/schema/schema.ts';
import { certificateRequest } from '../../../test/fixtures/certificate-request.ts';
import { startTestApi } from '../../../test/integration/api-test-server.ts';

const seed = Number(process.env.SAMPAN_SEED ?? 1 + Math.floor(Math.random() * 1e6));
const rounds = Number(process.env.SAMPAN_ROUNDS ?? 40);

/** mulberry32: small, good enough, and the same everywhere. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const random = randomFrom(seed);
const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

const scalars: Record<Scalar, readonly unknown[]> = {
  string: [
    '',
    'a',
    'default',
    'Always',
    'Never',
    'x'.repeat(300),
    '-',
    'A B',
    '/dev/null',
    '../..',
    'ü',
    '0',
    '__proto__',
    'constructor',
    'toString',
    '$(A)',
  ],
  bool: [true, false],
  int32: [0, 1, -1, 65536, 2147483647],
  int64: [0, 1, -1, 30, Number.MAX_SAFE_INTEGER],
  float64: [0, -1.5],
  bytes: ['', 'AA=='],
  time: ['2024-01-01T00:00:00Z', null],
  microtime: ['2024-01-01T00:00:00.000000Z', null],
  quantity: ['0', '1', '-1', '100m', '1Gi', 5, '1e30'],
  intorstr: [0, 80, 'http', '50%', -1],
  any: [null, {}, { a: [1] }, 'x'],
};

function value(type: FieldType, depth: number): unknown {
  if (type.form === 'scalar') return pick(scalars[type.scalar]);
  if (type.form === 'array') return Array.from({ length: pick([0, 1, 2]) }, () => value(type.of, depth));
  if (type.form === 'map')
    return Object.fromEntries(
      Array.from({ length: pick([0, 1, 2]) }, () => [
        pick(['a', 'a/b', '', 'x y', 'cpu', 'memory']),
        value(type.of, depth),
      ]),
    );
  return struct(type.name, depth + 1);
}

function struct(name: string, depth: number): Record<string, unknown> {
  const { fields, required } = structType(name);
  const share = depth === 0 ? 0.9 : depth === 1 ? 0.25 : 0.2;
  const chosen = [...fields].filter(([field]) => random() < (required.has(field) ? 0.9 : share));
  return Object.fromEntries(
    depth > 7 ? [] : chosen.map(([field, type]) => [field, random() < 0.03 ? null : value(type, depth)]),
  );
}

/** Often enough sane enough to be stored. */
function strange(kind: Kind, name: string): KubeObject {
  const { group, version, namespaced } = kind.ref;
  const object = struct(typeNameOf(group, version, kind.kind), 0) as KubeObject;
  delete object.apiVersion;
  delete object.kind;
  const metadata = random() < 0.3 && object.metadata ? object.metadata : {};
  object.metadata = { ...metadata, name, resourceVersion: undefined, ...(namespaced ? { namespace: 'default' } : {}) };
  return object;
}

async function attempt(what: string, object: unknown, act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    const expected = error instanceof SampanError && error.reason !== 'InternalError';
    if (!expected) assert.fail(`seed ${seed}: ${what} of ${JSON.stringify(object)}\n${(error as Error).stack}`);
    return false;
  }
}

for (const kind of allKinds) {
  test(`a strange ${kind.kind} is stored or refused`, async (t) => {
    await using api = await startTestApi();
    const { client } = api;
    const { ref } = kind;
    const namespace = ref.namespaced ? 'default' : undefined;
    let stored = 0;
    for (let i = 0; i < rounds; i++) {
      const name = kind.kind === 'CustomResourceDefinition' ? `strange-${i}.example.com` : `strange-${i}`;
      const object = strange(kind, name);
      const made = await attempt('create', object, () => client.create(ref, object));
      // What cannot be made strange is made plain, to be changed strangely.
      if (!made) await attempt('create', kind.kind, () => client.create(ref, plain(kind, name)));
      if (!(await attempt('get', name, () => client.get(ref, name, namespace)))) continue;
      stored++;
      for (const subresource of [undefined, ...kind.subresources]) {
        const change = strange(kind, name);
        await attempt(`update ${subresource}`, change, () => client.update(ref, change, { subresource }));
        const patch = strange(kind, name);
        const type = pick(['application/merge-patch+json', 'application/strategic-merge-patch+json'] as const);
        await attempt(`patch ${subresource}`, patch, () =>
          client.patch(ref, name, patch, { namespace, type, subresource }),
        );
      }
      for (const item of (await client.list(ref)).items) assert.equal(kind.row(item, 0).length, kind.columns.length);
      await attempt('delete', name, () =>
        client.delete(ref, name, { namespace, gracePeriodSeconds: pick([undefined, 0, 5]) }),
      );
    }
    t.diagnostic(`seed ${seed}: ${stored} of ${rounds} were stored`);
    assert.ok(stored > 0);
  });
}

const { request: pem } = await certificateRequest('CN=a');

/** The least that is valid. */
function plain(kind: Kind, name: string): KubeObject {
  const metadata = { name, ...(kind.ref.namespaced ? { namespace: 'default' } : {}) };
  const containers = [{ name: 'a', image: 'b' }];
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers } };
  const workload = { selector: { matchLabels: { a: 'b' } }, template };
  const job = { template: { spec: { restartPolicy: 'Never', containers } } };
  const storage = { accessModes: ['ReadWriteOnce'] };
  const more: Record<string, object> = {
    Deployment: { spec: workload },
    ReplicaSet: { spec: workload },
    StatefulSet: { spec: { ...workload, serviceName: 's' } },
    Job: { spec: job },
    CronJob: { spec: { schedule: '* * * * *', jobTemplate: { spec: job } } },
    Service: { spec: { ports: [{ port: 80 }] } },
    EndpointSlice: { addressType: 'IPv4', endpoints: [] },
    Ingress: { spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } } },
    IngressClass: { spec: { controller: 'example.com/c' } },
    StorageClass: { provisioner: 'example.com/p' },
    PersistentVolume: { spec: { ...storage, capacity: { storage: '1Gi' }, nfs: { server: 's', path: '/' } } },
    PersistentVolumeClaim: { spec: { ...storage, resources: { requests: { storage: '1Gi' } } } },
    CustomResourceDefinition: plainDefinition(name),
    Pod: { spec: { containers: [{ name: 'a', image: 'b' }] } },
    PodTemplate: { template: { spec: { containers: [{ name: 'a', image: 'b' }] } } },
    Event:
      kind.ref.group === ''
        ? { involvedObject: { namespace: 'default' } }
        : {
            regarding: { namespace: 'default' },
            eventTime: '2024-01-01T00:00:00.000000Z',
            action: 'a',
            reason: 'r',
            type: 'Normal',
            reportingController: 'example.com/c',
            reportingInstance: 'i',
          },
    RuntimeClass: { handler: 'h' },
    PriorityClass: { value: 1 },
    RoleBinding: { roleRef: { kind: 'Role', name: 'r' } },
    ClusterRoleBinding: { roleRef: { kind: 'ClusterRole', name: 'r' } },
    LimitRange: { spec: { limits: [] } },
    CertificateSigningRequest: {
      spec: { request: btoa(pem), signerName: 'example.com/a', usages: ['client auth'] },
    },
  };
  return { metadata, ...more[kind.kind] };
}

function plainDefinition(name: string): object {
  const [plural = '', ...group] = name.split('.');
  const schema = { openAPIV3Schema: { type: 'object' } };
  const versions = [{ name: 'v1', served: true, storage: true, schema }];
  return { spec: { group: group.join('.'), scope: 'Cluster', names: { plural, kind: `K${plural}` }, versions } };
}
