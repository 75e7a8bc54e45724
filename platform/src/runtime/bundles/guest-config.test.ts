import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestConfig } from './guest-config.ts';
import { translateResources } from './guest-resources.ts';
import { type OciConfig, parseOciConfig } from './oci-config.ts';

const isolated = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

const config = (more: object = {}, linux: object = {}): OciConfig =>
  parseOciConfig(
    JSON.stringify({
      ociVersion: '1.0.2-dev',
      process: { args: ['sh'], cwd: '/', user: { uid: 5, gid: 6 }, capabilities: { bounding: ['CAP_KILL'] } },
      root: { path: 'rootfs', readonly: true },
      hostname: 'web',
      linux: { namespaces: isolated, cgroupsPath: '/default/web', ...linux },
      ...more,
    }),
  );
const translate = (given: OciConfig, more: object = {}) => guestConfig(given, { sharePath: '/share/web', ...more });
const linuxOf = (spec: Record<string, unknown>) => spec.linux as Record<string, unknown>;

test('what names the host goes, what makes the container stays', () => {
  const { spec, readOnlyRootfs, carried } = translate(config({}, { maskedPaths: ['/proc/kcore'], seccomp: { x: 1 } }));
  assert.deepEqual(spec.process, {
    args: ['sh'],
    cwd: '/',
    user: { uid: 5, gid: 6 },
    capabilities: { bounding: ['CAP_KILL'] },
  });
  assert.equal(readOnlyRootfs, true);
  assert.deepEqual(carried, []);
  for (const gone of ['root', 'hostname', 'hooks']) assert.ok(!(gone in spec), gone);
  const linux = linuxOf(spec);
  assert.deepEqual([linux.namespaces, linux.cgroupsPath, linux.maskedPaths], [[], undefined, ['/proc/kcore']]);
  assert.deepEqual(linux.seccomp, { x: 1 });
});

test('a read-only mount is kept so by the host: the guest would make all below it read-only, too, which only rro asks for', () => {
  const carry = (onHost: boolean, ...flags: string[]) => {
    const mounts = [{ destination: '/data', type: 'bind', source: '/srv/data', options: flags }];
    const { spec, carried } = translate(config({ mounts }), { onHost });
    return [carried[0]?.access, (spec.mounts as { options: string[] }[])[0]?.options.join()];
  };
  assert.deepEqual(carry(false, 'rbind', 'ro'), ['r', 'rbind,rslave']);
  assert.deepEqual(carry(false, 'rbind', 'rro'), ['rr', 'rbind,ro,rslave']);
  assert.deepEqual(carry(false, 'rbind', 'ro', 'rw'), ['rw', 'rbind,rw,rslave']);
  assert.deepEqual(carry(true, 'rbind', 'rro'), ['rr', 'rbind,rro,rslave']);
});

test("what is the host's is a container's of the host's own kernel: devices, CPUs, kernel file systems, namespaces that its machine has", () => {
  const linux = {
    namespaces: ['ipc', 'mount'].map((type) => ({ type })),
    devices: [{ path: '/dev/sda', type: 'b', major: 8, minor: 0 }],
    resources: { cpu: { cpus: '0', mems: '0' } },
  };
  const mounts = [{ destination: '/host/sys', type: 'bind', source: '/sys', options: ['rbind', 'ro'] }];
  const { spec, carried } = translate(config({ mounts }, linux), { onHost: true, hosts: ['network', 'pid'] });
  const { devices, resources } = linuxOf(spec);
  assert.deepEqual([devices, resources], [linux.devices, linux.resources]);
  assert.equal(carried[0]?.source, '/sys');
  assert.throws(() => translate(config({}, linux), { onHost: true, hosts: ['network'] }), /no pid namespace/);
});

test("a privileged container has all of its machine's devices, and none of the host's that its engine lists", () => {
  const devices = ['/dev/fuse', '/dev/sda'].map((path) => ({ path, type: 'b', major: 8, minor: 0 }));
  const all = { devices: [{ allow: true, access: 'rwm' }] };
  const { spec } = translate(config({}, { devices, resources: all }));
  assert.deepEqual(linuxOf(spec).devices, devices.slice(0, 1));
  assert.deepEqual(linuxOf(spec).resources, all);
  const some = {
    devices: [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', access: 'rwm' },
    ],
  };
  assert.throws(() => translate(config({}, { devices, resources: some })), /linux\.devices \/dev\/sda/);
});

test('bind mounts are carried by the share, in their place among the others and with their options', () => {
  const mounts = [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/data', type: 'bind', source: '/srv/data', options: ['rbind', 'ro', 'noexec', 'rprivate'] },
    { destination: '/data/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
    { destination: '/dev/shm', type: 'bind', source: '/run/pods/x/shm', options: ['rbind', 'rw'] },
  ];
  const { spec, carried } = translate(config({ mounts }));
  assert.deepEqual(carried, [{ name: 'mount0', source: '/srv/data', access: 'r', destination: '/data' }]);
  assert.deepEqual(spec.mounts, [
    mounts[0],
    { ...mounts[1], source: '/share/web/mount0', options: ['rbind', 'noexec', 'rslave'] },
    mounts[2],
    { ...mounts[3], source: '/run/sampan/shm' },
  ]);
});

test("a systemd has the machine's cgroups to write to, in place of the host's; a /dev/shm of another size is the one made for it", () => {
  const mounts = [
    { destination: '/dev/shm', type: 'bind', source: '/run/x/shm', options: ['bind'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'ro'] },
    { destination: '/sys/fs/cgroup/systemd', type: 'bind', source: '/sys/fs/cgroup/systemd', options: ['bind'] },
  ];
  const { spec } = translate(config({ mounts }), { shmPath: '/guest/shm' });
  assert.deepEqual(spec.mounts, [
    { ...mounts[0], source: '/guest/shm' },
    { ...mounts[1], options: ['nosuid'] },
  ]);
});

test('of a Pod without a container of its own, its files are there where no mount of the bundle is', () => {
  const mounts = [
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['size=64m'] },
    { destination: '/etc/hosts', type: 'bind', source: '/var/lib/kubelet/hosts', options: ['rbind'] },
  ];
  const { spec, carried } = translate(config({ mounts }), { podFiles: true });
  assert.deepEqual(
    carried.map(({ destination }) => destination),
    ['/etc/hosts'],
  );
  const sources = (spec.mounts as { destination: string; source: string }[]).map(
    (one) => `${one.destination} ${one.source}`,
  );
  assert.deepEqual(sources, [
    '/dev/shm /run/sampan/shm',
    '/etc/hosts /share/web/mount0',
    '/etc/hostname /run/sampan/etc/hostname',
    '/etc/resolv.conf /run/sampan/etc/resolv.conf',
  ]);
});

const refusals: [what: string, given: OciConfig, words: RegExp][] = [
  [
    'the host network',
    config({}, { namespaces: isolated.filter(({ type }) => type !== 'network') }),
    /no network namespace/,
  ],
  [
    'a PID namespace of the host',
    config({}, { namespaces: [...isolated, { type: 'pid', path: '/proc/7/ns/pid' }] }),
    /\/proc\/7\/ns\/pid/,
  ],
  ['a user namespace', config({}, { namespaces: [...isolated, { type: 'user' }] }), /namespaces user/],
  ['mapped ids', config({}, { uidMappings: [{}] }), /uidMappings/],
  ['a device', config({}, { devices: [{ path: '/dev/sda', type: 'b' }] }), /\/dev\/sda/],
  ['a sysctl that the sandbox has not', config({}, { sysctl: { 'net.core.somaxconn': '9' } }), /net\.core\.somaxconn/],
  [
    'a hook among its mounts',
    config({ hooks: { createContainer: [{ path: '/bin/hook' }] } }),
    /hooks\.createContainer/,
  ],
  ['a hook of no known kind', config({ hooks: { prestrat: [{ path: '/bin/hook' }] } }), /hooks\.prestrat/],
  ['an SELinux label', config({ process: { args: ['sh'], selinuxLabel: 'x' } }), /selinuxLabel/],
  [
    "somebody's AppArmor profile",
    config({ process: { args: ['sh'], apparmorProfile: 'mine' } }),
    /apparmorProfile mine/,
  ],
  [
    'mounts that come back',
    config({ mounts: [{ destination: '/d', type: 'bind', source: '/d', options: ['rshared'] }] }),
    /mounts \/d/,
  ],
  [
    '/proc of the host',
    config({ mounts: [{ destination: '/d', type: 'bind', source: '/proc/sys' }] }),
    /\/proc\/sys of the host/,
  ],
  ['an unknown kind of mount', config({ mounts: [{ destination: '/d', type: 'nfs', source: 'x' }] }), /type nfs/],
];
for (const [what, given, words] of refusals)
  test(`${what} is refused by name`, () => {
    assert.throws(() => translate(given), { reason: 'Unsupported', message: words });
  });

test('what the sandbox has may be asked for: a sysctl it was made with, its PID namespace', () => {
  const given = config({}, { sysctl: { a: '1' }, namespaces: [...isolated, { type: 'pid', path: '/proc/7/ns/pid' }] });
  assert.equal(translate(given, { sysctls: { a: '1' }, mayJoinPids: true }).joinsPids, true);
  assert.throws(() => translate(given, { sysctls: { a: '2' }, mayJoinPids: true }), { reason: 'Unsupported' });
});

test('limits are kept; those that name things of the host are refused by name', () => {
  const kept = { memory: { limit: 5 }, cpu: { shares: 7 }, pids: { limit: 9 } };
  assert.deepEqual(translateResources({ ...kept, devices: null, blockIO: {}, network: {} }), kept);
  assert.throws(() => translateResources({ cpu: { cpus: '0' } }), /cpu\.cpus/);
  assert.throws(() => translateResources({ blockIO: { weight: 10 } }), /blockIO/);
  assert.throws(() => translateResources({ hugepageLimits: [{ pageSize: '2MB', limit: 1 }] }), /2MB/);
  const hosts = { blockIO: { weight: 10 }, network: { classID: 1 }, cpu: { cpus: '0' } };
  const pages = { hugepageLimits: [{ pageSize: '2MB', limit: 1 }] };
  assert.deepEqual(translateResources({ ...hosts, ...pages, rdma: {} }, { onHost: true }), { ...hosts, ...pages });
});

test('a config that is none is refused with the place', () => {
  assert.throws(() => parseOciConfig('{'), { reason: 'Invalid' });
  assert.throws(() => parseOciConfig('{"ociVersion":"1.0.2"}'), { reason: 'Invalid', message: /process/ });
  assert.throws(() => parseOciConfig('{"ociVersion":"2.0.0","process":{}}'), { reason: 'Invalid', message: /2\.0\.0/ });
});

test('on the host’s own kernel a mount that is shared is a peer of the host’s, one for all containers; the last word on propagation counts', () => {
  const mount = (destination: string, ...options: string[]) => ({ destination, type: 'bind', source: '/d', options });
  const given = config({
    mounts: [
      mount('/a', 'rbind', 'rshared'),
      mount('/b', 'bind', 'shared'),
      mount('/c', 'rbind', 'shared', 'ro'),
      mount('/d', 'rbind', 'rshared', 'rprivate'),
    ],
  });
  const { spec, shared, carried } = translate(given, { onHost: true });
  assert.deepEqual(
    shared.map(({ source, access }) => [source, access]),
    [
      ['/d', 'rw'],
      ['/d', 'r'],
    ],
  );
  const [a, b, c, d] = spec.mounts as { source: string; options: string[] }[];
  assert.deepEqual(
    [a!.source, b!.source, c!.source],
    [0, 0, 1].map((at) => `/share/${shared[at]!.name}`),
  );
  assert.deepEqual(a!.options, ['rbind', 'rshared']);
  assert.deepEqual([carried.length, d!.source, d!.options.at(-1)], [1, '/share/web/mount0', 'rslave']);
  assert.equal(linuxOf(spec).rootfsPropagation, 'rshared');
  assert.throws(() => translate(given), { reason: 'Unsupported', message: /\/a: .*shared propagation/ });
});

test('a shared mount of what the host does not share is shared inside the container alone, in a virtual machine too', () => {
  const mount = { destination: '/a', type: 'bind', source: '/d', options: ['rbind', 'rshared'] };
  for (const onHost of [true, false]) {
    const { spec, shared, carried } = translate(config({ mounts: [mount] }), { onHost, isSharedByHost: () => false });
    assert.deepEqual([shared, carried.map(({ source }) => source)], [[], ['/d']]);
    const [a] = spec.mounts as { source: string; options: string[] }[];
    assert.deepEqual([a!.source, a!.options], ['/share/web/mount0', ['rbind', 'rshared']]);
    assert.equal(linuxOf(spec).rootfsPropagation, undefined);
  }
});
