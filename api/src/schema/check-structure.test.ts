import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkStructure } from './check-structure.ts';
import { normalize } from './normalize.ts';

const pod = (spec: unknown, rest: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', spec, ...rest });
const check = (object: unknown) => checkStructure('core/v1.Pod', object);

describe('checkStructure', () => {
  it('finds nothing wrong with a full Pod', () => {
    const object = pod(
      {
        containers: [
          {
            name: 'a',
            image: 'x',
            ports: [{ containerPort: 80, name: 'http' }],
            resources: { limits: { cpu: 1, memory: '64Mi' } },
            livenessProbe: { httpGet: { port: 'http', path: '/' } },
            env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          },
        ],
        nodeSelector: { a: 'b' },
        securityContext: null,
      },
      { metadata: { name: 'x', creationTimestamp: null, managedFields: [{ fieldsV1: { 'f:a': {} } }] }, status: {} },
    );
    assert.deepEqual(check(object), { wrongTypes: [], unknownFields: [] });
  });

  it('names unknown fields by their path, indexes included', () => {
    const object = pod(
      { containers: [{ name: 'a' }, { name: 'b', imagee: 'x', resources: { limit: {} } }], nope: 1 },
      { metadata: { nmae: 'x' } },
    );
    assert.deepEqual(check(object).unknownFields, [
      'spec.containers[1].imagee',
      'spec.containers[1].resources.limit',
      'spec.nope',
      'metadata.nmae',
    ]);
  });

  it('reports a wrong type in the words of the Go decoder', () => {
    const cases: [unknown, string][] = [
      [
        { containers: [{ name: 'a', ports: 'http' }] },
        'json: cannot unmarshal string into Go struct field Container.spec.containers.ports of type []v1.ContainerPort',
      ],
      [
        { containers: [{ name: 'a', ports: [{ containerPort: '80' }] }] },
        'json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
      ],
      [
        { containers: [{ name: 'a', ports: [{ containerPort: 80.5 }] }] },
        'json: cannot unmarshal number 80.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
      ],
      [
        { containers: [{ name: 'a', env: [{ name: 'A', value: 1 }] }] },
        'json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string',
      ],
      [
        { containers: {} },
        'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
      ],
      [
        { hostNetwork: 'yes' },
        'json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool',
      ],
      [
        { nodeSelector: { a: true } },
        'json: cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector of type string',
      ],
      [[], 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
      [
        { containers: [{ resources: { limits: { cpu: 'lots' } } }] },
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      ],
      [
        { containers: [{ livenessProbe: { tcpSocket: { port: true } } }] },
        'json: cannot unmarshal bool into Go value of type int32',
      ],
    ];
    for (const [spec, message] of cases) assert.deepEqual(check(pod(spec)).wrongTypes, [message]);
    assert.deepEqual(check('text').wrongTypes, ['json: cannot unmarshal string into Go value of type v1.Pod']);
  });

  it('reports only the first wrong type, as Go does', () => {
    assert.equal(check(pod({ hostNetwork: 1, hostPID: 1 })).wrongTypes.length, 1);
  });

  it('refuses base64 that is none, and times that are none', () => {
    const secret = (data: object) => checkStructure('core/v1.Secret', { data }).wrongTypes;
    assert.deepEqual(secret({ a: 'aGk=', b: '' }), []);
    assert.deepEqual(secret({ a: 'not base64' }), ['illegal base64 data at input byte 3']);
    const [message] = check({ metadata: { creationTimestamp: 'yesterday' } }).wrongTypes;
    assert.match(message!, /^parsing time "yesterday" as "2006-01-02T15:04:05Z07:00"/);
  });

  it('does not mistake what every object inherits for a field', () => {
    assert.deepEqual(check(JSON.parse('{"spec":{"constructor":{},"__proto__":{},"toString":1}}')).unknownFields, [
      'spec.constructor',
      'spec.__proto__',
      'spec.toString',
    ]);
  });
});

describe('normalize', () => {
  it('drops nulls and what Go would omit, and keeps what says something by being empty', () => {
    const object = pod({
      containers: [{ name: 'a', env: [], command: null, securityContext: {} }],
      volumes: [{ name: 'v', emptyDir: {} }],
      nodeSelector: {},
      tolerations: null,
    });
    normalize('core/v1.Pod', object);
    assert.deepEqual(
      object,
      pod({ containers: [{ name: 'a', securityContext: {} }], volumes: [{ name: 'v', emptyDir: {} }] }),
    );
  });

  it('writes resource lists canonically, rounded up to thousandths, and other quantities as they are', () => {
    const object = pod({
      containers: [{ name: 'a', resources: { limits: { cpu: 0.5, memory: '1024Mi' }, requests: { cpu: '0.0001' } } }],
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '1024Mi' } }],
    });
    normalize('core/v1.Pod', object);
    assert.deepEqual(
      object,
      pod({
        containers: [{ name: 'a', resources: { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: '1m' } } }],
        volumes: [{ name: 'v', emptyDir: { sizeLimit: '1024Mi' } }],
      }),
    );
  });

  it('writes times in UTC', () => {
    const lease = { spec: { renewTime: '2024-05-06T09:08:07.1234567+02:00' } };
    normalize('coordination.k8s.io/v1.Lease', lease);
    assert.deepEqual(lease, { spec: { renewTime: '2024-05-06T07:08:07.123456Z' } });
    const status = { status: { startTime: '2024-05-06T09:08:07.9+02:00' } };
    normalize('core/v1.Pod', status);
    assert.deepEqual(status, { status: { startTime: '2024-05-06T07:08:07Z' } });
  });

  it('writes the zero values that Go always writes', () => {
    const object = pod(
      { containers: [{ ports: [{}], env: [null] }] },
      { status: { containerStatuses: [{ name: 'a' }] } },
    );
    normalize('core/v1.Pod', object);
    assert.deepEqual(
      object,
      pod(
        { containers: [{ name: '', ports: [{ containerPort: 0 }], env: [{ name: '' }] }] },
        { status: { containerStatuses: [{ name: 'a', image: '', imageID: '', ready: false, restartCount: 0 }] } },
      ),
    );
  });
});
