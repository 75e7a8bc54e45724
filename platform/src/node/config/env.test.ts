import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Container, Pod, Service } from 'kubernetes-types/core/v1.js';
import type { PodFacts } from '../../volumes/sources.ts';
import { containerEnv } from './env.ts';
import { expand } from './expand.ts';

describe('$(VAR)', () => {
  const known: Record<string, string> = { A: '1', EMPTY: '', NEST: '$(A)' };
  const cases: [string, string][] = [
    ['$(A)', '1'],
    ['x$(A)y$(A)z', 'x1y1z'],
    ['$(EMPTY)', ''],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$$$$', '$$'],
    ['$A', '$A'],
    ['$(A', '$(A'],
    ['$', '$'],
    ['$(NEST)', '$(A)'],
    ['$()', '$()'],
  ];
  for (const [text, wanted] of cases)
    test(`${text} is ${wanted || 'nothing'}`, () =>
      assert.equal(
        expand(text, (name) => known[name]),
        wanted,
      ));
});

describe('variables of a container', () => {
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'n', uid: 'u', annotations: { 'x/y': 'noted' } },
    spec: { serviceAccountName: 'sa', containers: [{ name: 'other', resources: { limits: { cpu: '1500m' } } }] },
  };
  const facts: PodFacts = {
    pod,
    nodeName: 'node',
    hostIPs: ['192.0.2.1'],
    podIPs: ['10.0.0.5'],
    machine: { cpuMillicores: 500, memoryBytes: 512 * 1024 ** 2, ephemeralStorageBytes: 7 },
  };
  const objects = {
    configMap: async (_: string, name: string) => (name === 'map' ? { data: { K: 'v', L: 'w' } } : undefined),
    secret: async (_: string, name: string) =>
      name === 'sec' ? { data: { S: Buffer.from('hush').toString('base64') } } : undefined,
  };
  const service = (name: string, clusterIP: string, ports: object[], namespace = 'n') =>
    ({ metadata: { name, namespace }, spec: { clusterIP, ports } }) as Service;
  const make = (container: Partial<Container>, services: Service[] = [], spec: object = {}) =>
    containerEnv({
      container: { name: 'c', ...container },
      facts: { ...facts, pod: { ...pod, spec: { ...pod.spec!, ...spec } } },
      objects,
      apiServer: { host: '10.9.8.7', port: 443 },
      services: async (namespace) => services.filter(({ metadata }) => metadata?.namespace === namespace),
    });

  test('point at the Services of the namespace that have an address, unless the Pod wants no links', async () => {
    const services = [
      service('my-db', '10.96.0.9', [
        { name: 'sql', port: 5432 },
        { name: 'dns-x', port: 53, protocol: 'UDP' },
      ]),
      service('headless', 'None', [{ port: 1 }]),
      service('elsewhere', '10.96.0.8', [{ port: 1 }], 'other'),
    ];
    const linked = [...(await make({}, services))].filter(([name]) => !name.startsWith('KUBERNETES'));
    assert.deepEqual(Object.fromEntries(linked), {
      MY_DB_SERVICE_HOST: '10.96.0.9',
      MY_DB_SERVICE_PORT: '5432',
      MY_DB_SERVICE_PORT_SQL: '5432',
      MY_DB_SERVICE_PORT_DNS_X: '53',
      MY_DB_PORT: 'tcp://10.96.0.9:5432',
      MY_DB_PORT_5432_TCP: 'tcp://10.96.0.9:5432',
      MY_DB_PORT_5432_TCP_PROTO: 'tcp',
      MY_DB_PORT_5432_TCP_PORT: '5432',
      MY_DB_PORT_5432_TCP_ADDR: '10.96.0.9',
      MY_DB_PORT_53_UDP: 'udp://10.96.0.9:53',
      MY_DB_PORT_53_UDP_PROTO: 'udp',
      MY_DB_PORT_53_UDP_PORT: '53',
      MY_DB_PORT_53_UDP_ADDR: '10.96.0.9',
    });
    const unlinked = await make({}, services, { enableServiceLinks: false });
    assert.ok([...unlinked.keys()].every((name) => name.startsWith('KUBERNETES_')));
    assert.equal(unlinked.get('KUBERNETES_SERVICE_HOST'), '10.9.8.7');
  });

  test('point at the API server', async () => {
    const env = await make({});
    assert.equal(env.get('KUBERNETES_SERVICE_HOST'), '10.9.8.7');
    assert.equal(env.get('KUBERNETES_SERVICE_PORT'), '443');
    assert.equal(env.get('KUBERNETES_PORT'), 'tcp://10.9.8.7:443');
  });

  test('refer to those before them, to envFrom and to the API server', async () => {
    const env = await make({
      envFrom: [{ prefix: 'P_', configMapRef: { name: 'map' } }, { secretRef: { name: 'sec' } }],
      env: [
        { name: 'LATER', value: '$(FIRST)' },
        { name: 'FIRST', value: 'one' },
        { name: 'SECOND', value: '$(FIRST)-$(P_K)-$(S)-$(KUBERNETES_SERVICE_PORT)' },
        { name: 'P_L', value: 'mine' },
      ],
    });
    assert.equal(env.get('LATER'), '$(FIRST)');
    assert.equal(env.get('SECOND'), 'one-v-hush-443');
    assert.equal(env.get('P_L'), 'mine', 'env wins over envFrom');
  });

  test('show fields of the Pod and resources', async () => {
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const amount = (name: string, resource: string, more: object = {}) => ({
      name,
      valueFrom: { resourceFieldRef: { resource, ...more } },
    });
    const env = await make({
      resources: { requests: { memory: '32Mi' } },
      env: [
        field('NAME', 'metadata.name'),
        field('NOTE', "metadata.annotations['x/y']"),
        field('IP', 'status.podIP'),
        field('HOST', 'status.hostIP'),
        field('NODE', 'spec.nodeName'),
        field('SA', 'spec.serviceAccountName'),
        amount('CPU', 'limits.cpu', { containerName: 'other' }),
        amount('OWN', 'limits.memory', { divisor: '1Mi' }),
        amount('REQ', 'requests.memory'),
      ],
    });
    const wanted = {
      NAME: 'p',
      NOTE: 'noted',
      IP: '10.0.0.5',
      HOST: '192.0.2.1',
      NODE: 'node',
      SA: 'sa',
      CPU: '2',
      OWN: '512',
      REQ: String(32 * 1024 ** 2),
    };
    for (const [name, value] of Object.entries(wanted)) assert.equal(env.get(name), value, name);
  });

  const fails: [string, Partial<Container>, string][] = [
    [
      'a ConfigMap',
      { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'no', key: 'k' } } }] },
      'configmap "no" not found',
    ],
    [
      'a key of one',
      { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'map', key: 'k' } } }] },
      "couldn't find key k in ConfigMap n/map",
    ],
    ['a Secret', { envFrom: [{ secretRef: { name: 'no' } }] }, 'secret "no" not found'],
    [
      'a key of one',
      { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'sec', key: 'k' } } }] },
      "couldn't find key k in Secret n/sec",
    ],
    [
      'a field',
      { env: [{ name: 'X', valueFrom: { fieldRef: { fieldPath: 'spec.nothing' } } }] },
      'unsupported fieldPath: spec.nothing',
    ],
  ];
  for (const [what, container, message] of fails)
    test(`${what} that is not there: ${message}`, () => assert.rejects(make(container), { message }));

  test('are left out where what they show is optional and missing', async () => {
    const env = await make({
      envFrom: [{ configMapRef: { name: 'no', optional: true } }],
      env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'sec', key: 'k', optional: true } } }],
    });
    assert.equal(env.has('X'), false);
  });
});
