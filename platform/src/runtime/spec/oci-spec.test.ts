import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageConfig } from '../../images/images.ts';
import * as cri from '../generated/cri.ts';
import { ociSpec, type SpecInput } from './oci-spec.ts';
import { signalNumber } from './process.ts';
import { checkContainerConfig, checkSandboxConfig } from './refuse.ts';

interface Spec {
  process: {
    args: string[];
    env: string[];
    cwd: string;
    terminal: boolean;
    noNewPrivileges: boolean;
    oomScoreAdj: number;
    capabilities: { bounding: string[]; effective: string[]; ambient?: string[] };
  };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
  linux: {
    namespaces: { type: string }[];
    cgroupsPath: string;
    maskedPaths?: string[];
    readonlyPaths?: string[];
    devices: { path: string }[];
    resources: {
      cpu?: object;
      memory?: object;
      pids: { limit: number };
      unified?: object;
      devices: { allow: boolean }[];
    };
    seccomp?: { defaultAction: string; architectures: string[]; syscalls: { names: string[]; action: string }[] };
  };
}

const make = (
  config: cri.ContainerConfig,
  image: ImageConfig = { Cmd: ['sh'] },
  volumePaths: string[] = [],
  more: Partial<SpecInput> = {},
): Spec =>
  ociSpec({
    id: 'c1',
    hostname: 'web-0',
    config: { metadata: { name: 'main' }, image: { image: 'busybox' }, ...config },
    image,
    volumePaths,
    podMemoryBytes: 512 * 1024 * 1024,
    architecture: 'x64',
    ...more,
  }) as Spec;
const withSecurity = (securityContext: cri.LinuxContainerSecurityContext) => make({ linux: { securityContext } });

test('command and args follow Kubernetes’ table', () => {
  const image = { Entrypoint: ['/ep'], Cmd: ['cmd'] };
  assert.deepEqual(make({}, image).process.args, ['/ep', 'cmd']);
  assert.deepEqual(make({ command: ['/c'] }, image).process.args, ['/c']);
  assert.deepEqual(make({ args: ['a'] }, image).process.args, ['/ep', 'a']);
  assert.deepEqual(make({ command: ['/c'], args: ['a'] }, image).process.args, ['/c', 'a']);
  assert.throws(() => make({}, {}), { reason: 'Invalid', message: /container main: no command specified/ });
});

test('the environment is the image’s under the Pod’s, with PATH, HOSTNAME and TERM where nobody set them', () => {
  const envs = [{ key: 'A', value: Buffer.from('pod=1') }];
  const { env } = make({ envs, tty: true }, { Cmd: ['x'], Env: ['A=image', 'B=2'] }).process;
  assert.ok(
    env.includes('A=pod=1') && env.includes('B=2') && env.includes('HOSTNAME=web-0') && env.includes('TERM=xterm'),
  );
  assert.ok(env.some((pair) => pair.startsWith('PATH=/usr/local/sbin')));
  assert.ok(!env.includes('A=image'));
  const own = make({ envs: [{ key: 'HOSTNAME', value: Buffer.from('mine') }] }, { Cmd: ['x'], Env: ['PATH=/bin'] })
    .process.env;
  assert.ok(own.includes('PATH=/bin') && own.includes('HOSTNAME=mine'));
});

test('the working directory is the Pod’s, the image’s, or /', () => {
  assert.equal(make({ workingDir: '/a' }, { Cmd: ['x'], WorkingDir: '/b' }).process.cwd, '/a');
  assert.equal(make({}, { Cmd: ['x'], WorkingDir: '/b' }).process.cwd, '/b');
  assert.equal(make({}).process.cwd, '/');
});

test('a plain container: own mounts and processes, default capabilities, masked kernel files, no seccomp', () => {
  const { process, linux, mounts } = make({});
  assert.deepEqual(linux.namespaces.map(({ type }) => type).sort(), ['cgroup', 'mount', 'pid']);
  assert.equal(process.capabilities.bounding.length, 14);
  assert.ok(!process.capabilities.bounding.includes('CAP_SYS_ADMIN'));
  assert.ok(linux.maskedPaths?.includes('/proc/kcore') && linux.readonlyPaths?.includes('/proc/sys'));
  assert.equal(linux.seccomp, undefined);
  assert.ok(mounts.find(({ destination }) => destination === '/sys')?.options.includes('ro'));
  assert.equal(linux.cgroupsPath, '/pod/c1');
  assert.equal(linux.resources.pids.limit, 4096);
});

test('capabilities: drop ALL and add one leaves one; unknown names are refused', () => {
  const { bounding } = withSecurity({
    capabilities: { dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'] },
  }).process.capabilities;
  assert.deepEqual(bounding, ['CAP_NET_BIND_SERVICE']);
  const all = withSecurity({ capabilities: { addCapabilities: ['ALL'], dropCapabilities: ['cap_sys_time'] } }).process
    .capabilities;
  assert.ok(all.bounding.includes('CAP_SYS_ADMIN') && !all.bounding.includes('CAP_SYS_TIME'));
  assert.throws(() => withSecurity({ capabilities: { addCapabilities: ['FLY'] } }), {
    reason: 'Invalid',
    message: /"FLY"/,
  });
});

test('a privileged container has every capability and device, and a writable /sys', () => {
  const { process, linux, mounts } = withSecurity({ privileged: true, seccomp: { profileType: 0 } });
  assert.equal(process.capabilities.bounding.length, 41);
  assert.deepEqual(linux.resources.devices, [{ allow: true, access: 'rwm' }]);
  assert.ok(mounts.find(({ destination }) => destination === '/sys')?.options.includes('rw'));
  assert.equal(mounts.find(({ destination }) => destination === '/dev')?.type, 'bind');
  assert.equal(linux.maskedPaths, undefined);
  assert.equal(linux.seccomp, undefined);
  const localhost = { profileType: cri.SecurityProfile_ProfileType.Localhost, localhostRef: '/a.json' };
  assert.equal(withSecurity({ privileged: true, seccomp: localhost }).linux.seccomp, undefined);
});

test('volumes stand instead of our own files and shared memory', () => {
  const { mounts } = make({}, { Cmd: ['x'] }, ['/etc/hosts', '/dev/shm']);
  const places = mounts.map(({ destination }) => destination);
  assert.ok(!places.includes('/etc/hosts') && !places.includes('/dev/shm') && places.includes('/etc/resolv.conf'));
});

test('limits are passed as they are, zeroes are not limits', () => {
  const resources = {
    cpuQuota: 50_000n,
    cpuPeriod: 100_000n,
    cpuShares: 512n,
    memoryLimitInBytes: 1n << 26n,
    oomScoreAdj: 900n,
    unified: { 'memory.oom.group': '1' },
  };
  const spec = make({ linux: { resources } });
  assert.deepEqual(spec.linux.resources.cpu, { shares: 512, quota: 50_000, period: 100_000 });
  assert.deepEqual(spec.linux.resources.memory, { limit: 67_108_864 });
  assert.deepEqual(spec.linux.resources.unified, { 'memory.oom.group': '1' });
  assert.equal(spec.process.oomScoreAdj, 900);
  assert.equal(
    make({ linux: { resources: { cpuShares: 0n, memoryLimitInBytes: 0n } } }).linux.resources.memory,
    undefined,
  );
});

test('unmasked means unmasked: an empty list is a list', () => {
  assert.deepEqual(withSecurity({ maskedPaths: [], readonlyPaths: [] }).linux.maskedPaths, []);
});

test('seccomp: the default profile refuses what the capabilities do not allow, a Localhost profile is as its file says', () => {
  const { seccomp } = withSecurity({ seccomp: { profileType: cri.SecurityProfile_ProfileType.RuntimeDefault } }).linux;
  const refused = seccomp!.syscalls.flatMap(({ names }) => names);
  assert.ok(
    refused.includes('mount') &&
      refused.includes('bpf') &&
      refused.includes('kexec_load') &&
      refused.includes('clone3'),
  );
  assert.ok(seccomp!.architectures.includes('SCMP_ARCH_X86_64'));
  const admin = withSecurity({
    seccomp: { profileType: 0 },
    capabilities: { addCapabilities: ['SYS_ADMIN'] },
  }).linux.seccomp!.syscalls.flatMap(({ names }) => names);
  assert.ok(!admin.includes('mount') && !admin.includes('clone3') && admin.includes('bpf'));
  assert.equal(withSecurity({ seccomp: { profileType: 1 } }).linux.seccomp, undefined);
  const own: cri.SecurityProfile = { profileType: 2, localhostRef: '/profiles/a.json' };
  const profile = JSON.stringify({ defaultAction: 'SCMP_ACT_LOG', syscalls: [] });
  const spec = make({ linux: { securityContext: { seccomp: own } } }, { Cmd: ['x'] }, [], { seccompProfile: profile });
  assert.equal(spec.linux.seccomp?.defaultAction, 'SCMP_ACT_LOG');
  assert.throws(() => withSecurity({ seccomp: own }), { reason: 'Invalid', message: /\/profiles\/a.json is none/ });
});

test('devices of the host are refused by name, the guest’s own may be had', () => {
  const device = { hostPath: '/dev/fuse', containerPath: '/dev/fuse', permissions: 'rw' };
  assert.deepEqual(
    make({ devices: [device] }).linux.devices.map(({ path }) => path),
    ['/dev/fuse'],
  );
  assert.throws(() => make({ devices: [{ hostPath: '/dev/sda' }] }), {
    reason: 'Unsupported',
    message: /device \/dev\/sda/,
  });
});

test('on the host’s kernel a container has the devices that were found there, and no others', () => {
  const device = { path: '/dev/mine', type: 'b' as const, major: 8, minor: 1, fileMode: 0o660, uid: 0, gid: 6 };
  const { linux } = make({ devices: [{ hostPath: '/dev/sda1' }] }, { Cmd: ['x'] }, [], {
    hostDevices: [{ ...device, access: 'r' }],
  });
  assert.deepEqual(linux.devices, [device]);
  assert.deepEqual(linux.resources.devices, [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'b', major: 8, minor: 1, access: 'r' },
  ]);
});

test('what a VM has no notion of is refused by name', () => {
  const container = (linux: cri.LinuxContainerConfig): cri.ContainerConfig => ({
    metadata: { name: 'm' },
    image: { image: 'i' },
    linux,
  });
  const refusals: [cri.ContainerConfig, RegExp][] = [
    [container({ securityContext: { selinuxOptions: { level: 's0' } } }), /seLinuxOptions/],
    [container({ securityContext: { namespaceOptions: { network: 2 } } }), /hostNetwork/],
    [
      container({ securityContext: { apparmor: { profileType: 2, localhostRef: 'mine' } } }),
      /appArmorProfile Localhost/,
    ],
    [container({ securityContext: { apparmorProfile: 'localhost/mine' } }), /appArmorProfile Localhost/],
    [container({ securityContext: { namespaceOptions: { usernsOptions: { mode: 0 } } } }), /hostUsers/],
    [container({ resources: { cpusetCpus: '0-1' } }), /cpusetCpus/],
    [container({ resources: { hugepageLimits: [{ pageSize: '2MB', limit: 4096n }] } }), /hugepages-2MB/],
    [{ ...container({}), CDIDevices: [{ name: 'gpu' }] }, /CDIDevices/],
    [{ ...container({}), windows: {} }, /windows/],
  ];
  for (const [config, message] of refusals)
    assert.throws(() => checkContainerConfig(config, 'vm'), { reason: 'Unsupported', message });
  const onHost = (linux: cri.LinuxContainerConfig) => checkContainerConfig(container(linux), 'namespace');
  onHost({ resources: { cpusetCpus: '0-1,3', cpusetMems: '0' } });
  assert.throws(() => onHost({ resources: { cpusetCpus: '0\n1' } }), { reason: 'Invalid', message: /list of CPUs/ });
  for (const mode of [1, 3] as const)
    assert.throws(() => onHost({ securityContext: { namespaceOptions: { usernsOptions: { mode } } } }), {
      reason: 'Invalid',
      message: /user namespace/,
    });
  const metadata = { name: 'p', namespace: 'd', uid: 'u' };
  assert.throws(() => checkSandboxConfig({ metadata, portMappings: [{ hostPort: 80, containerPort: 70_000 }] }, 'vm'), {
    message: /hostPort 80: 70000/,
  });
  assert.throws(() => checkSandboxConfig({ metadata, linux: { sysctls: { '../x': '1' } } }, 'vm'), {
    reason: 'Invalid',
  });
  checkSandboxConfig(
    {
      metadata,
      portMappings: [{ containerPort: 80 }],
      linux: { sysctls: { 'net.core.somaxconn': '9' } },
    },
    'vm',
  );
});

test('signal names of images and of CRI', () => {
  const table: [string, number | undefined][] = [
    ['SIGTERM', 15],
    ['term', 15],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['SIGRTMINPLUS3', 37],
    ['SIGRTMAXMINUS2', 62],
    ['SIGNONE', undefined],
    ['99', undefined],
  ];
  for (const [name, number] of table) assert.equal(signalNumber(name), number, name);
});
