import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { admitted, created, updated } from '../kind-fixtures.ts';
import { serviceKind } from './service.ts';

const service = (spec: object) => ({ spec: { ports: [{ port: 80 }], ...spec } });
const problems = (spec: object) => created(serviceKind, service(spec));

describe('Service', () => {
  it('gets the defaults of its type', () => {
    const { spec, status } = admitted(serviceKind, service({}));
    assert.deepEqual(spec, {
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
    assert.deepEqual(status, { loadBalancer: {} });
    assert.equal(admitted(serviceKind, service({ type: 'NodePort' })).spec.externalTrafficPolicy, 'Cluster');
    assert.equal(admitted(serviceKind, service({ type: 'LoadBalancer' })).spec.allocateLoadBalancerNodePorts, true);
    const sticky = admitted(serviceKind, service({ sessionAffinity: 'ClientIP' })).spec;
    assert.equal(sticky.sessionAffinityConfig.clientIP.timeoutSeconds, 10_800);
    const external = admitted(serviceKind, { spec: { type: 'ExternalName', externalName: 'a.example' } }).spec;
    assert.equal(external.ipFamilies, undefined);
  });

  it('has a name that begins with a letter', () => {
    const [problem] = created(serviceKind, { ...service({}), metadata: { name: '1web', namespace: 'default' } });
    assert.match(problem!, /metadata.name: Invalid value: "1web": a DNS-1035 label must consist of/);
  });

  it('has ports, told apart by name and number', () => {
    assert.deepEqual(problems({ ports: [] }), ['spec.ports: Required value']);
    assert.deepEqual(problems({ ports: [], clusterIP: 'None' }), []);
    assert.deepEqual(problems({ ports: [{ port: 80 }, { port: 81, name: 'b' }] }), [
      'spec.ports[0].name: Required value',
    ]);
    assert.match(
      problems({ ports: [{ port: 0 }] })[0]!,
      /spec.ports\[0\].port: Invalid value: 0: must be between 1 and/,
    );
    const twice = [
      { name: 'a', port: 80 },
      { name: 'a', port: 80 },
    ];
    assert.deepEqual(
      problems({ ports: twice }).map((text) => text.split(':')[0]),
      ['spec.ports[1].name', 'spec.ports[1]'],
    );
    assert.deepEqual(problems({ ports: [{ port: 80, nodePort: 30_000 }] }), [
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ]);
  });

  it('is refused what does not go with its type', () => {
    assert.deepEqual(problems({ type: 'Other' }), [
      'spec.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ]);
    assert.deepEqual(problems({ type: 'ExternalName' }), ['spec.externalName: Required value']);
    assert.match(
      problems({ type: 'NodePort', clusterIP: 'None' })[0]!,
      /may not be set to 'None' for NodePort services/,
    );
    assert.match(problems({ loadBalancerClass: 'a/b' })[0]!, /may only be used when `type` is 'LoadBalancer'/);
    assert.match(
      problems({ externalTrafficPolicy: 'Local' })[0]!,
      /may only be set for externally-accessible services/,
    );
    assert.match(problems({ clusterIP: '1.2.3' })[0]!, /must be a valid IP address/);
    assert.match(problems({ ipFamilies: ['IPv6'] })[0]!, /not configured on this cluster/);
  });

  it('keeps what was allocated when an update leaves it out, and its address for ever', () => {
    const old = admitted(serviceKind, service({ type: 'NodePort' }));
    Object.assign(old.spec, { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] });
    old.spec.ports[0].nodePort = 30_001;
    const bare = updated(serviceKind, old, (object) => {
      object.spec = { type: 'NodePort', ports: [{ port: 80 }] };
    });
    assert.deepEqual(bare.problems, []);
    assert.deepEqual([bare.object.spec.clusterIP, bare.object.spec.ports[0].nodePort], ['10.0.0.1', 30_001]);
    const moved = updated(serviceKind, old, ({ spec }) => {
      Object.assign(spec, { clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] });
    });
    assert.match(moved.problems[0]!, /spec.clusterIPs\[0\]: .*may not change once set/);
    const plain = updated(serviceKind, old, ({ spec }) => {
      spec.type = 'ClusterIP';
    });
    assert.deepEqual(plain.problems, []);
    assert.equal(plain.object.spec.ports[0].nodePort, undefined);
  });

  it('is shown with addresses and ports as kubectl shows it', () => {
    const cells = (spec: object) => serviceKind.row(admitted(serviceKind, service(spec)), 0).slice(1, 5);
    assert.deepEqual(cells({}), ['ClusterIP', '<none>', '<none>', '80/TCP']);
    const ports = [{ port: 80, nodePort: 30_001 }];
    assert.deepEqual(cells({ type: 'LoadBalancer', ports }), ['LoadBalancer', '<none>', '<pending>', '80:30001/TCP']);
    const external = { type: 'ExternalName', externalName: 'a.example', ports: [] };
    assert.deepEqual(cells(external), ['ExternalName', '<none>', 'a.example', '<none>']);
  });
});
