import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problems, problemsWith, rich } from '../pod-fixtures.ts';

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const ip = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const hard = 'affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]';

/** What is wrong, with the spec, and what is said, below `spec`. */
const cases: [what: string, spec: object, said: string[]][] = [
  [
    'volumes of two kinds, of one name, of files outside, of no medium',
    {
      volumes: [
        { name: 'v', emptyDir: {}, configMap: { name: 'c' } },
        { name: 'v', secret: { items: [{ key: 'k', path: '/etc/x', mode: 512 }] } },
        { name: 'w', emptyDir: { sizeLimit: '-1', medium: 'Paper' } },
        { name: 'x', configMap: { name: 'c', items: [{ path: '..data' }] } },
      ],
    },
    [
      'volumes[0].configMap: Forbidden: may not specify more than 1 volume type',
      'volumes[1].secret.secretName: Required value',
      'volumes[1].secret.items[0].path: Invalid value: "/etc/x": must be a relative path',
      'volumes[1].secret.items[0].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      'volumes[1].name: Duplicate value: "v"',
      'volumes[2].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity',
      'volumes[2].emptyDir.medium: Unsupported value: "Paper": supported values: "", "Memory"',
      'volumes[3].configMap.items[0].key: Required value',
      `volumes[3].configMap.items[0].path: Invalid value: "..data": must not start with '..'`,
    ],
  ],
  [
    'paths of the host that are none, climb, are relative, of no type',
    {
      volumes: [
        { name: 'a', hostPath: { path: '' } },
        { name: 'b', hostPath: { path: '/srv/../etc' } },
        { name: 'c', hostPath: { path: 'srv' } },
        { name: 'd', hostPath: { path: '/srv', type: 'Folder' } },
        { name: 'e', hostPath: { path: '/srv', type: 'DirectoryOrCreate' } },
      ],
    },
    [
      'volumes[0].hostPath.path: Required value',
      `volumes[1].hostPath.path: Invalid value: "/srv/../etc": must not contain '..'`,
      'volumes[2].hostPath.path: Invalid value: "srv": must be an absolute path',
      'volumes[3].hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ],
  ],
  [
    'files of the downward API of two sources, of none, of no container',
    {
      volumes: [
        {
          name: 'v',
          downwardAPI: {
            items: [
              { path: 'a' },
              { path: 'b', fieldRef: { fieldPath: 'status.podIP' } },
              { path: 'c', resourceFieldRef: { resource: 'limits.cpu' } },
            ],
          },
        },
      ],
    },
    [
      'volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
      'volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
      'volumes[0].downwardAPI.resourceFieldRef.containerName: Required value',
    ],
  ],
  [
    'projected files that collide, and tokens too short or of nobody',
    {
      volumes: [
        {
          name: 'v',
          projected: {
            sources: [
              { secret: { name: 's', items: [{ key: 'k', path: 'p' }] } },
              { configMap: { name: 'c', items: [{ key: 'k', path: 'p' }] } },
              { serviceAccountToken: { path: 't', expirationSeconds: 60 }, secret: { name: 's' } },
            ],
          },
        },
      ],
    },
    [
      'volumes[0].projected: Invalid value: "p": conflicting duplicate paths',
      'volumes[0].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
      'volumes[0].projected.sources[2]: Forbidden: may not specify more than 1 volume type per source',
      'volumes[0].projected.sources[2].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set',
    ],
  ],
  [
    'policies that do not exist',
    { restartPolicy: 'Sometimes', dnsPolicy: 'Guess', preemptionPolicy: 'Ask' },
    [
      'restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      'dnsPolicy: Unsupported value: "Guess": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
      'preemptionPolicy: Unsupported value: "Ask": supported values: "PreemptLowerPriority", "Never"',
    ],
  ],
  [
    'name servers too many and none',
    {
      dnsConfig: {
        nameservers: ['1.2.3.4', '1.2.3', '::1', 'fe80::1'],
        searches: ['a.b', '_srv.c.', '.'],
        options: [{}],
      },
    },
    [
      'dnsConfig.nameservers: Invalid value: ["1.2.3.4","1.2.3","::1","fe80::1"]: must not have more than 3 nameservers',
      `dnsConfig.nameservers[1]: Invalid value: "1.2.3": ${ip}`,
      'dnsConfig.options[0]: Required value: must not be empty',
    ],
  ],
  [
    'dnsPolicy None without dnsConfig',
    { dnsPolicy: 'None' },
    ['dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
  ],
  [
    'host aliases of no address',
    { hostAliases: [{ ip: '300.1.1.1', hostnames: ['UP'] }] },
    [
      `hostAliases[0].ip: Invalid value: "300.1.1.1": ${ip}`,
      `hostAliases[0].hostnames[0]: Invalid value: "UP": ${subdomain}`,
    ],
  ],
  [
    'users and groups out of range, sysctls twice, profiles that say too much',
    {
      securityContext: {
        runAsUser: -1,
        fsGroup: 2 ** 32,
        sysctls: [
          { name: 'net.a', value: '1' },
          { name: 'net.a', value: '2' },
        ],
        seccompProfile: { type: 'RuntimeDefault', localhostProfile: 'x' },
      },
    },
    [
      'securityContext.fsGroup: Invalid value: 4294967296: must be between 0 and 2147483647, inclusive',
      'securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      'securityContext.sysctls[1].name: Duplicate value: "net.a"',
      'securityContext.seccompProfile.localhostProfile: Invalid value: "x": can only be set when seccomp type is Localhost',
    ],
  ],
  [
    'a deadline out of range, and names that are none',
    { activeDeadlineSeconds: 0, hostname: 'a.b', nodeName: 'N', runtimeClassName: '' },
    [
      `nodeName: Invalid value: "N": ${subdomain}`,
      `runtimeClassName: Invalid value: "": ${subdomain}`,
      'hostname: Invalid value: "a.b": must not contain dots',
      'activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive',
    ],
  ],
  [
    'tolerations that make no sense',
    { tolerations: [{ operator: 'Exists', value: 'x' }, { key: 'a', operator: 'Like' }, { tolerationSeconds: 1 }] },
    [
      `tolerations[0].operator: Invalid value: "x": value must be empty when \`operator\` is 'Exists'`,
      'tolerations[1].operator: Unsupported value: "Like": supported values: "Equal", "Exists"',
      'tolerations[2].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      `tolerations[2].effect: Invalid value: "": effect must be 'NoExecute' when \`tolerationSeconds\` is set`,
    ],
  ],
  [
    'affinity that selects nothing',
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: 'a', operator: 'In' },
                  { key: 'b', operator: 'Is', values: ['x'] },
                ],
                matchFields: [{ key: 'spec.x', operator: 'In', values: ['n'] }],
              },
            ],
          },
        },
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: { topologyKey: 'a' } }],
        },
      },
    },
    [
      `${hard}.matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      `${hard}.matchExpressions[1].operator: Invalid value: "Is": not a valid selector operator`,
      `${hard}.matchFields[0].key: Invalid value: "spec.x": not a valid field selector key`,
      'affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100',
    ],
  ],
  [
    'more terms than a scheduler could look at all the time',
    {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: Array.from({ length: 1000 }, () => ({ topologyKey: 'a' })),
        },
      },
      topologySpreadConstraints: Array.from({ length: 300 }, (_, i) => ({
        ...{ maxSkew: 1, topologyKey: `k${i}`, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: {} },
      })),
    },
    [
      'affinity: Too long: may not be more than 16384 bytes',
      'topologySpreadConstraints: Too long: may not be more than 16384 bytes',
    ],
  ],
  [
    'a node for a Pod that is still gated',
    { nodeName: 'n', schedulingGates: [{ name: 'x.io/wait' }] },
    ['nodeName: Forbidden: cannot be set until all schedulingGates have been cleared'],
  ],
];

describe('validation of a new Pod', () => {
  for (const [what, spec, said] of cases) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        problemsWith(spec),
        said.map((line) => `spec.${line}`),
      );
    });
  }

  it('accepts a Pod that uses much of what there is', () => {
    assert.deepEqual(problems(rich), []);
  });
});
