import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { podKind } from './pod.ts';
import { admitted } from './pod-fixtures.ts';

describe('defaults of a Pod', () => {
  it('fills what kube-apiserver fills', () => {
    const pod = admitted();
    assert.deepEqual(pod.spec, {
      containers: [
        {
          name: 'a',
          image: 'nginx',
          imagePullPolicy: 'Always',
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          resources: {},
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
    });
    assert.deepEqual(pod.status, { phase: 'Pending', qosClass: 'BestEffort' });
    assert.equal(pod.metadata.generation, 1);
    assert.deepEqual(podKind.validateCreate(pod), []);
  });

  it('pulls latest always, and anything named more closely only once', () => {
    const policies = { nginx: 'Always', 'nginx:latest': 'Always', 'nginx:1': 'IfNotPresent', 'r:5000/nginx': 'Always' };
    const digest = `nginx@sha256:${'0'.repeat(64)}`;
    for (const [image, policy] of Object.entries({
      ...policies,
      [digest]: 'IfNotPresent',
      'r:5000/a/b:2': 'IfNotPresent',
    })) {
      const pod = admitted((one) => {
        one.spec.containers[0].image = image;
      });
      assert.equal(pod.spec.containers[0].imagePullPolicy, policy, image);
    }
  });

  it('fills probes, ports, references, volumes and tokens', () => {
    const pod = admitted(({ spec }) => {
      spec.serviceAccount = 'robot';
      Object.assign(spec.containers[0], {
        ports: [{ containerPort: 80 }],
        readinessProbe: { httpGet: { port: 80 } },
        livenessProbe: { grpc: { port: 1 } },
        env: [
          { name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        ],
      });
      spec.volumes = [
        { name: 'a' },
        { name: 'b', secret: { secretName: 's' } },
        { name: 'c', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        { name: 'd', downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name' } }] } },
      ];
    });
    const [container] = pod.spec.containers;
    assert.equal(container.ports[0].protocol, 'TCP');
    const numbers = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
    assert.deepEqual(container.readinessProbe, { httpGet: { port: 80, path: '/', scheme: 'HTTP' }, ...numbers });
    assert.deepEqual(container.livenessProbe, { grpc: { port: 1, service: '' }, ...numbers });
    assert.equal(container.env[0].valueFrom.fieldRef.apiVersion, 'v1');
    assert.equal(container.env[1].valueFrom.resourceFieldRef.divisor, '0');
    assert.deepEqual(pod.spec.volumes, [
      { name: 'a', emptyDir: {} },
      { name: 'b', secret: { secretName: 's', defaultMode: 420 } },
      {
        name: 'c',
        projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }], defaultMode: 420 },
      },
      {
        name: 'd',
        downwardAPI: {
          items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name', apiVersion: 'v1' } }],
          defaultMode: 420,
        },
      },
    ]);
    assert.deepEqual([pod.spec.serviceAccountName, pod.spec.serviceAccount], ['robot', 'robot']);
    assert.deepEqual(podKind.validateCreate(pod), []);
  });

  it('lets limits stand in for requests, one by one', () => {
    const pod = admitted(({ spec }) => {
      spec.containers[0].resources = { limits: { cpu: 2, memory: '1Gi' }, requests: { cpu: 1 } };
    });
    assert.deepEqual(pod.spec.containers[0].resources.requests, { cpu: '1', memory: '1Gi' });
    assert.equal(pod.status.qosClass, 'Burstable');
  });

  it('is idempotent', () => {
    const once = admitted(({ spec }) => {
      spec.volumes = [{ name: 'a' }];
    });
    const twice = structuredClone(once);
    podKind.applyDefaults(twice);
    assert.deepEqual(twice, once);
  });
});
