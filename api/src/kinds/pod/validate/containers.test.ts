import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problemsWith } from '../pod-fixtures.ts';

const portName = 'Invalid value: "UP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)';
const noLetter = 'Invalid value: "UP": must contain at least one letter (a-z)';
const fieldRef = (fieldPath: string) => ({ name: 'A', valueFrom: { fieldRef: { fieldPath } } });

/** What is wrong, with the container (and, where need be, the spec), and what is said, below `spec.containers[0]`. */
const cases: [what: string, container: object, said: string[], spec?: object][] = [
  ['no image', { image: '' }, ['image: Required value']],
  ['a name that is none', { name: 'a.b' }, ['name: Invalid value: "a.b": must not contain dots']],
  [
    'an image with a space at its end',
    { image: 'nginx ' },
    ['image: Invalid value: "nginx ": must not have leading or trailing whitespace'],
  ],
  [
    'ports that are none',
    { ports: [{ containerPort: 70000, name: 'UP' }, {}] },
    [
      `ports[0].name: ${portName}`,
      `ports[0].name: ${noLetter}`,
      'ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'ports[1].containerPort: Required value',
    ],
  ],
  [
    'two ports of one name',
    { ports: [1, 2].map((containerPort) => ({ containerPort, name: 'x' })) },
    ['ports[1].name: Duplicate value: "x"'],
  ],
  [
    'an unknown protocol and pull policy',
    { imagePullPolicy: 'Maybe', ports: [{ containerPort: 1, protocol: 'ICMP' }] },
    [
      'ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
      'imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"',
    ],
  ],
  [
    'a request over its limit',
    { resources: { limits: { cpu: '500m' }, requests: { cpu: 1 } } },
    ['resources.requests: Invalid value: "1": must be less than or equal to cpu limit of 500m'],
  ],
  [
    'negative and unknown resources',
    { resources: { requests: { memory: -1, disk: 1 } } },
    [
      'resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
      'resources.requests[disk]: Invalid value: "disk": must be a standard resource for containers',
    ],
  ],
  [
    'extended resources in parts, without a limit, and below it',
    { resources: { limits: { 'x.io/a': 2 }, requests: { 'x.io/a': 1, 'x.io/b': '1500m' } } },
    [
      'resources.requests: Invalid value: "1": must be equal to x.io/a limit of 2',
      'resources.requests[x.io/b]: Invalid value: "1500m": must be an integer',
      'resources.limits: Required value: Limit must be set for non overcommitable resources',
    ],
  ],
  [
    'variables without a name, with a bad one, of two sources, of none',
    {
      env: [
        { value: 'x' },
        { name: 'A=B' },
        { ...fieldRef('metadata.name'), value: 'x' },
        { name: 'D', valueFrom: {} },
        { name: 'E', valueFrom: { secretKeyRef: { name: 's', key: '..' }, configMapKeyRef: { name: 'c', key: 'k' } } },
      ],
    },
    [
      'env[0].name: Required value',
      `env[1].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      'env[2].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      'env[3].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      'env[4].valueFrom.secretKeyRef.key: Invalid value: "..": must not be \'..\'',
      'env[4].valueFrom: Invalid value: "": may not have more than one field specified at a time',
    ],
  ],
  [
    'fields that do not exist, that variables cannot have, that have no parts',
    { env: [fieldRef('spec.volumes'), fieldRef('metadata.labels'), fieldRef("metadata.name['x']")] },
    [
      'env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.volumes": error converting fieldPath: field label not supported: spec.volumes',
      'env[1].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      'env[2].valueFrom.fieldRef: Invalid value: "metadata.name": does not support subscript',
    ],
  ],
  [
    'resources that cannot be asked for, and divisors that are none',
    {
      env: [
        { name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } } },
        { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.gpu' } } },
      ],
    },
    [
      `env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      'env[1].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
    ],
  ],
  [
    'envFrom of two sources, and of none',
    { envFrom: [{ configMapRef: { name: 'a' }, secretRef: { name: 'b' } }, {}] },
    [
      'envFrom: Invalid value: "": may not have more than one field specified at a time',
      'envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ],
  ],
  [
    'mounts of nothing, at one place, and outwards',
    {
      volumeMounts: [
        { name: 'w', mountPath: '/a' },
        { name: 'v', mountPath: '/a', subPath: '../x' },
        { name: 'v', mountPath: '/b', mountPropagation: 'Sideways', recursiveReadOnly: 'IfPossible' },
      ],
    },
    [
      'volumeMounts[0].name: Not found: "w"',
      'volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
      `volumeMounts[1].subPath: Invalid value: "../x": must not contain '..'`,
      'volumeMounts[2].mountPropagation: Unsupported value: "Sideways": supported values: "Bidirectional", "HostToContainer", "None"',
      'volumeMounts[2].recursiveReadOnly: Forbidden: may only be specified when readOnly is true',
      'volumeMounts[2].recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified',
    ],
    { volumes: [{ name: 'v' }] },
  ],
  [
    'probes with two handlers, with none, with wrong numbers',
    {
      livenessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 }, successThreshold: 2, periodSeconds: -1 },
      readinessProbe: { terminationGracePeriodSeconds: 1 },
      startupProbe: { httpGet: { port: 'UP', scheme: 'FTP', httpHeaders: [{ name: 'a b', value: '' }] } },
    },
    [
      'livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      'livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
      'livenessProbe.successThreshold: Invalid value: 2: must be 1',
      'readinessProbe: Required value: must specify a handler type',
      'readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes',
      `startupProbe.httpGet.port: ${portName}`,
      `startupProbe.httpGet.port: ${noLetter}`,
      'startupProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
      `startupProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')`,
    ],
  ],
  [
    'a hook that sleeps longer than the Pod has, and one that runs nothing',
    { lifecycle: { preStop: { sleep: { seconds: 6 } }, postStart: { exec: {} } } },
    [
      'lifecycle.postStart.exec.command: Required value',
      'lifecycle.preStop.sleep: Invalid value: 6: must be non-negative and less than terminationGracePeriodSeconds (5)',
    ],
    { terminationGracePeriodSeconds: 5 },
  ],
  [
    'privilege that must not escalate',
    { securityContext: { privileged: true, allowPrivilegeEscalation: false } },
    [
      'securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
    ],
  ],
  [
    'a restart policy of its own',
    { restartPolicy: 'Always' },
    ['restartPolicy: Forbidden: may not be set for non-init containers'],
  ],
];

describe('validation of containers', () => {
  for (const [what, container, said, spec = {}] of cases) {
    it(`refuses ${what}`, () => {
      const wanted = said.map((line) => `spec.containers[0].${line}`);
      assert.deepEqual(problemsWith(spec, container), wanted);
    });
  }

  it('refuses a Pod without containers, and ephemeral ones from the start', () => {
    assert.deepEqual(problemsWith({ containers: [] }), ['spec.containers: Required value']);
    assert.deepEqual(problemsWith({ ephemeralContainers: [{ name: 'e', image: 'x' }] }), [
      'spec.ephemeralContainers: Forbidden: cannot be set on create',
    ]);
  });

  it('wants every container to have a name of its own', () => {
    const again = { name: 'a', image: 'x' };
    assert.deepEqual(problemsWith({ containers: [again, again], initContainers: [again] }), [
      'spec.containers[1].name: Duplicate value: "a"',
      'spec.initContainers[0].name: Duplicate value: "a"',
    ]);
  });

  it('lets only sidecars among init containers be probed, and restart only always', () => {
    const probe = { readinessProbe: { tcpSocket: { port: 1 } } };
    const init = (restartPolicy: object) => ({
      initContainers: [{ name: 'i', image: 'x', ...probe, ...restartPolicy }],
    });
    const forbidden =
      'spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always';
    assert.deepEqual(problemsWith(init({ restartPolicy: 'Always' })), []);
    assert.deepEqual(problemsWith(init({})), [forbidden]);
    assert.deepEqual(problemsWith(init({ restartPolicy: 'Never' })), [
      'spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"',
      forbidden,
    ]);
  });
});
