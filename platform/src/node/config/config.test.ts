import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Container, Pod, PodSpec } from 'kubernetes-types/core/v1.js';
import { NamespaceMode, SecurityProfile_ProfileType } from '../../runtime/generated/cri.ts';
import { pathsOf } from '../paths.ts';
import { containerConfig } from './container-config.ts';
import { parseResolvConf, podDns } from './dns.ts';
import { podHostname } from './hostname.ts';
import { hostsFile } from './hosts-file.ts';
import { sandboxConfig } from './sandbox-config.ts';
import { runAsNonRootFault } from './security.ts';

const host = { servers: ['192.0.2.53'], searches: ['example.org'], options: ['timeout:1'] };

const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { app: 'x' } },
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...spec },
  status: { qosClass: 'Burstable' },
});

const sandboxOf = (spec: Partial<PodSpec> = {}) =>
  sandboxConfig({
    pod: pod(spec),
    attempt: 2,
    logDirectory: '/logs',
    hostResolvConf: host,
    presentImages: ['sha256:i'],
  });

function containerOf(more: Partial<Container> = {}, spec: Partial<PodSpec> = {}, env = new Map<string, string>()) {
  const is = pod(spec);
  const container = { name: 'c', image: 'i:1', ...more };
  const image = { ref: 'sha256:i', username: '' };
  return containerConfig({ pod: is, container, paths: pathsOf('/home', is), attempt: 3, env, image });
}

describe('the sandbox of a Pod', () => {
  test('is found again by kubelet’s labels', () => {
    const { labels, metadata } = sandboxOf();
    assert.deepEqual(labels, {
      app: 'x',
      'io.kubernetes.pod.name': 'p',
      'io.kubernetes.pod.namespace': 'n',
      'io.kubernetes.pod.uid': 'u',
    });
    assert.deepEqual(metadata, { name: 'p', namespace: 'n', uid: 'u', attempt: 2 });
  });

  test('gets half a core and 512 MiB when the Pod says nothing', () => {
    const { resources } = sandboxOf().linux ?? {};
    assert.deepEqual([resources?.cpuQuota, resources?.memoryLimitInBytes], [50_000n, 536_870_912n]);
  });

  test('gets the sum of limits, and overhead beside it', () => {
    const limits = { cpu: '250m', memory: '64Mi' };
    const { resources, overhead } =
      sandboxOf({
        containers: [
          { name: 'a', resources: { limits } },
          { name: 'b', resources: { limits } },
        ],
        overhead: { cpu: '100m', memory: '16Mi' },
      }).linux ?? {};
    assert.deepEqual([resources?.cpuQuota, resources?.memoryLimitInBytes], [50_000n, 128n * 1024n ** 2n]);
    assert.deepEqual([overhead?.cpuQuota, overhead?.memoryLimitInBytes], [10_000n, 16n * 1024n ** 2n]);
  });

  test('is told of images that are there, emptyDirs and the disk it may use', () => {
    const { annotations } = sandboxOf({
      containers: [{ name: 'c', resources: { limits: { 'ephemeral-storage': '1Gi' } } }],
      volumes: [
        { name: 'fast', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
        { name: 'plain', emptyDir: {} },
      ],
    });
    assert.equal(annotations?.['sampan.dev/images'], '["sha256:i"]');
    assert.deepEqual(JSON.parse(annotations?.['sampan.dev/volume.fast'] ?? ''), {
      medium: 'Memory',
      sizeLimitBytes: 8 * 1024 ** 2,
    });
    assert.deepEqual(JSON.parse(annotations?.['sampan.dev/volume.plain'] ?? ''), { medium: '' });
    assert.equal(annotations?.['sampan.dev/ephemeral-storage'], String(1024 ** 3));
  });

  test('shares one process namespace only when asked to', () => {
    const mode = (shareProcessNamespace: boolean) =>
      sandboxOf({ shareProcessNamespace }).linux?.securityContext?.namespaceOptions?.pid;
    assert.deepEqual([mode(false), mode(true)], [NamespaceMode.CONTAINER, NamespaceMode.POD]);
  });

  test('takes any sysctl: the kernel is the Pod’s own', () => {
    const { sysctls } =
      sandboxOf({ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '9000' }] } }).linux ?? {};
    assert.deepEqual(sysctls, { 'kernel.msgmax': '9000' });
  });
});

describe('a container', () => {
  test('expands its command and arguments', () => {
    const config = containerOf({ command: ['run', '$(A)'], args: ['$(B)', '$$(A)'] }, {}, new Map([['A', '1']]));
    assert.deepEqual(
      [config.command, config.args],
      [
        ['run', '1'],
        ['$(B)', '$(A)'],
      ],
    );
  });

  test('sees its volumes, /etc/hosts and a place for its last words', () => {
    const { mounts } = containerOf(
      {
        volumeMounts: [
          { name: 'conf', mountPath: '/conf', readOnly: true },
          { name: 'conf', mountPath: '/one', subPath: 'key' },
          { name: 'conf', mountPath: '/two', subPathExpr: 'x/$(A)' },
        ],
        terminationMessagePath: '/dev/termination-log',
      },
      { volumes: [{ name: 'conf', configMap: { name: 'm' } }] },
      new Map([['A', '1']]),
    );
    const base = '/home/pods/u/volumes/kubernetes.io~configmap/conf';
    assert.deepEqual(
      mounts?.map(({ hostPath, containerPath, readonly }) => [hostPath, containerPath, readonly]),
      [
        [base, '/conf', true],
        [`${base}/key`, '/one', false],
        [`${base}/x/1`, '/two', false],
        ['/home/pods/u/etc-hosts', '/etc/hosts', false],
        ['/home/pods/u/containers/c/termination-log-3', '/dev/termination-log', false],
      ],
    );
  });

  test('mounts a path of the node with its sub path apart, and its machine is made for it', () => {
    const volumes = [{ name: 'data', hostPath: { path: '/srv//data/', type: 'Directory' } }];
    const volumeMounts = [
      { name: 'data', mountPath: '/all', mountPropagation: 'HostToContainer' },
      { name: 'data', mountPath: '/part', subPath: 'a//b/', readOnly: true },
    ];
    const { mounts } = containerOf({ volumeMounts }, { volumes }, new Map());
    assert.deepEqual(
      mounts?.slice(0, 2).map((mount) => [mount.hostPath, mount.containerPath, mount.readonly, mount.propagation]),
      [
        ['/srv/data', '/all', false, 1],
        ['/srv/data/./a/b', '/part', true, 0],
      ],
    );
    const { annotations } = sandboxOf({ containers: [], volumes });
    assert.equal(annotations?.['sampan.dev/host-mounts'], 'true');
  });

  test('that mounts over /etc/hosts gets no other', () => {
    const { mounts } = containerOf(
      { volumeMounts: [{ name: 'v', mountPath: '/etc/hosts', subPath: 'hosts' }] },
      { volumes: [{ name: 'v', configMap: { name: 'm' } }] },
    );
    assert.equal(mounts?.length, 1);
  });

  test('may not leave its volume', () => {
    const volumes = [{ name: 'v', emptyDir: {} }];
    for (const subPath of ['../x', 'a/../../x', '/etc'])
      assert.throws(
        () => containerOf({ volumeMounts: [{ name: 'v', mountPath: '/v', subPath }] }, { volumes }),
        /SubPath/,
        subPath,
      );
    assert.throws(() => containerOf({ volumeMounts: [{ name: 'no', mountPath: '/v' }] }), /cannot find volume "no"/);
  });

  test('has limits in CRI’s units', () => {
    const { resources } = containerOf({ resources: { limits: { cpu: '50m', memory: '32Mi' } } }).linux ?? {};
    assert.deepEqual(
      [resources?.cpuQuota, resources?.cpuPeriod, resources?.memoryLimitInBytes],
      [5000n, 100_000n, 33_554_432n],
    );
  });

  test('takes the Pod’s security context where it has none of its own', () => {
    const context = {
      runAsUser: 1000,
      runAsGroup: 100,
      fsGroup: 2000,
      supplementalGroups: [3000],
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const security = containerOf(
      {
        securityContext: {
          runAsUser: 7,
          capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
        },
      },
      { securityContext: context },
    ).linux?.securityContext;
    assert.deepEqual([security?.runAsUser?.value, security?.runAsGroup?.value], [7n, 100n]);
    assert.deepEqual(security?.supplementalGroups, [2000n, 3000n]);
    assert.deepEqual(security?.capabilities, { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] });
    assert.deepEqual([security?.noNewPrivs, security?.readonlyRootfs], [true, true]);
    assert.equal(security?.seccomp?.profileType, SecurityProfile_ProfileType.RuntimeDefault);
    assert.ok(security?.maskedPaths?.includes('/proc/kcore'));
  });

  test('names a seccomp profile below the node’s directory, and none elsewhere', () => {
    const seccompOf = (localhostProfile: string) =>
      containerOf({ securityContext: { seccompProfile: { type: 'Localhost', localhostProfile } } }).linux
        ?.securityContext?.seccomp;
    assert.deepEqual(seccompOf('profiles/a.json'), {
      profileType: SecurityProfile_ProfileType.Localhost,
      localhostRef: '/home/seccomp/profiles/a.json',
    });
    for (const outside of ['', '/etc/shadow', '../pods/x', 'a/../../x', 'a\0'])
      assert.throws(() => seccompOf(outside), { reason: 'Invalid', message: /directory of profiles/ });
  });

  test('that is unmasked says so: a list that is not there would mean the default', () => {
    const security = containerOf({ securityContext: { procMount: 'Unmasked' } }).linux?.securityContext;
    assert.deepEqual([security?.maskedPaths, security?.readonlyPaths], [[], []]);
  });

  test('that is privileged is confined by its machine alone', () => {
    const security = containerOf({ securityContext: { privileged: true } }).linux?.securityContext;
    assert.equal(security?.privileged, true);
    assert.equal(security?.maskedPaths, undefined);
    assert.equal(security?.seccomp?.profileType, SecurityProfile_ProfileType.Unconfined);
  });

  test('that must not run as root is refused where it would', () => {
    const fault = (own: object, image: { uid?: bigint; username: string }) =>
      runAsNonRootFault(pod(), { name: 'c', securityContext: { runAsNonRoot: true, ...own } }, image)?.replace(
        / \(pod.*/,
        '',
      );
    assert.equal(fault({ runAsUser: 0 }, { username: '' }), "container's runAsUser breaks non-root policy");
    assert.equal(fault({ runAsUser: 5 }, { username: '' }), undefined);
    assert.equal(fault({}, { uid: 0n, username: '' }), 'container has runAsNonRoot and image will run as root');
    assert.equal(fault({}, { username: '' }), 'container has runAsNonRoot and image will run as root');
    assert.equal(fault({}, { uid: 9n, username: '' }), undefined);
    assert.equal(
      fault({}, { username: 'web' }),
      'container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root',
    );
  });
});

describe('names', () => {
  test('a Pod is called as it says, with its domain where it has one', () => {
    assert.equal(podHostname(pod()).hostname, 'p');
    assert.deepEqual(podHostname(pod({ hostname: 'h', subdomain: 's' })), {
      hostname: 'h',
      short: 'h',
      fqdn: 'h.s.n.svc.cluster.local',
    });
    assert.equal(
      podHostname(pod({ hostname: 'h', subdomain: 's', setHostnameAsFQDN: true })).hostname,
      'h.s.n.svc.cluster.local',
    );
    assert.throws(
      () => podHostname(pod({ hostname: 'h'.repeat(60), subdomain: 's', setHostnameAsFQDN: true })),
      /is too long \(64 characters is the max, 82/,
    );
  });

  test('/etc/hosts has the Pod and its aliases', () => {
    const text = hostsFile(
      { hostname: 'h', short: 'h', fqdn: 'h.s' },
      ['10.0.0.1'],
      [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }],
    );
    assert.ok(text.startsWith('# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n'));
    assert.ok(text.endsWith('10.0.0.1\th.s\th\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n'));
  });

  test('dnsPolicy and dnsConfig', () => {
    const search = ['n.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.org'];
    assert.deepEqual(podDns(pod(), host), { servers: [], searches: search, options: ['ndots:5'] });
    assert.deepEqual(podDns(pod({ dnsPolicy: 'Default' }), host), host);
    const dnsConfig = {
      nameservers: ['9.9.9.9'],
      searches: ['mine'],
      options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
    };
    assert.deepEqual(podDns(pod({ dnsPolicy: 'None', dnsConfig }), host), {
      servers: ['9.9.9.9'],
      searches: ['mine'],
      options: ['ndots:2', 'edns0'],
    });
    assert.deepEqual(
      podDns(pod({ dnsConfig }), host).options,
      ['ndots:2', 'edns0'],
      'one’s own option replaces one of its name',
    );
    const wants = (spec: Partial<PodSpec>) => sandboxOf(spec).annotations?.['sampan.dev/cluster-first'];
    assert.equal(wants({ dnsConfig }), 'true', 'servers of one’s own come behind the cluster’s');
    for (const dnsPolicy of ['None', 'Default']) assert.equal(wants({ dnsPolicy, dnsConfig }), undefined);
    assert.equal(wants({ dnsConfig: { searches: ['mine'] } }), undefined);
  });

  test('a resolver on the host’s loopback is left out', () => {
    const text = '# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.9\nsearch a b\noptions edns0 trust-ad\n';
    assert.deepEqual(parseResolvConf(text), {
      servers: ['192.0.2.9'],
      searches: ['a', 'b'],
      options: ['edns0', 'trust-ad'],
    });
  });
});
