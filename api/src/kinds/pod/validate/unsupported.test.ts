import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problemsWith } from '../pod-fixtures.ts';

const volume = (source: object) => ({ volumes: [{ name: 'v', ...source }] });

describe('what this build does not do', () => {
  const cases: Record<string, [spec: object, container?: object]> = {
    'spec.hostNetwork': [{ hostNetwork: true }],
    'spec.hostPID': [{ hostPID: true }],
    'spec.hostIPC': [{ hostIPC: true }],
    'spec.hostUsers': [{ hostUsers: false }],
    'spec.os.name': [{ os: { name: 'windows' } }],
    'spec.resources': [{ resources: { limits: { cpu: 1 } } }],
    'spec.volumes[0].persistentVolumeClaim': [volume({ persistentVolumeClaim: { claimName: 'c' } })],
    'spec.volumes[0].nfs': [volume({ nfs: { server: 's', path: '/' } })],
    'spec.volumes[0].csi': [volume({ csi: { driver: 'd' } })],
    'spec.volumes[0].projected.sources[0].clusterTrustBundle': [
      volume({ projected: { sources: [{ clusterTrustBundle: { name: 'x', path: 'y' } }] } }),
    ],
    'spec.containers[0].volumeMounts[0].mountPropagation': [
      volume({ hostPath: { path: '/srv' } }),
      {
        securityContext: { privileged: true },
        volumeMounts: [{ name: 'v', mountPath: '/v', mountPropagation: 'Bidirectional' }],
      },
    ],
    'spec.containers[0].volumeDevices': [{}, { volumeDevices: [{ name: 'v', devicePath: '/dev/x' }] }],
    'spec.containers[0].lifecycle.stopSignal': [{}, { lifecycle: { stopSignal: 'SIGUSR1' } }],
    'spec.containers[0].resources.limits': [{}, { resources: { limits: { cpu: 1, 'hugepages-2Mi': '2Mi' } } }],
  };
  for (const [field, [spec, container]] of Object.entries(cases)) {
    it(`refuses ${field} by name`, () => {
      const found = problemsWith(spec, container);
      assert.ok(
        found.some((line) => line.startsWith(`${field}: Forbidden: not supported by this server: `)),
        found.join('\n'),
      );
    });
  }

  it("leaves the host's namespaces to classes that are not of machines", () => {
    const host = { hostNetwork: true, hostPID: true, hostIPC: true };
    assert.deepEqual(problemsWith({ ...host, runtimeClassName: 'namespace' }), []);
    assert.equal(problemsWith({ ...host, runtimeClassName: 'vm' }).length, 3);
  });

  it('takes profiles of the node, strict groups and recursively read-only mounts', () => {
    const seccompProfile = { type: 'Localhost', localhostProfile: 'profiles/a.json' };
    const spec = {
      ...volume({ hostPath: { path: '/srv' } }),
      securityContext: { seccompProfile, supplementalGroupsPolicy: 'Strict' },
    };
    const volumeMounts = [{ name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly: 'Enabled' }];
    assert.deepEqual(problemsWith(spec, { volumeMounts, securityContext: { seccompProfile } }), []);
    for (const localhostProfile of ['/etc/shadow', '../x', 'a/../../x'])
      assert.notDeepEqual(
        problemsWith({ securityContext: { seccompProfile: { ...seccompProfile, localhostProfile } } }),
        [],
      );
  });

  it('takes fields that say nothing for what they are', () => {
    const spec = { hostNetwork: false, hostUsers: true, os: { name: 'linux' }, resourceClaims: [] };
    assert.deepEqual(
      problemsWith(spec, {
        ports: [
          { containerPort: 1, hostPort: 0 },
          { containerPort: 2, hostPort: 2 },
        ],
      }),
      [],
    );
  });

  it('takes SELinux labels, which mean nothing where there is no SELinux', () => {
    const securityContext = { seLinuxOptions: { level: 's0:c0,c1' } };
    assert.deepEqual(problemsWith({ securityContext }, { securityContext }), []);
  });
});
