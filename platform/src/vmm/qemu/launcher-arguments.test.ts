import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launcherArguments } from './launcher-arguments.ts';

const common = {
  directory: '/run/x/m',
  uid: 200_007,
  cgroups: ['/sys/fs/cgroup/cpu/sampan-ab/m'],
  hugePages: false,
  rootfsPath: '/guest/rootfs.erofs',
  program: '/usr/bin/qemu-system-x86_64',
  programArguments: ['-M', 'microvm'],
};
const environment = [
  'PATH=/usr/bin:/bin',
  'MALLOC_ARENA_MAX=1',
  'G_SLICE=always-malloc',
  'MALLOC_TRIM_THRESHOLD_=131072',
].flatMap((variable) => ['--env', variable]);
const sockets = ['--huge-pages', 'no'].concat(
  ['10:/run/x/m/qmp', '11:/run/x/m/pass', '12:/run/x/m/agent'].flatMap((value) => ['--listen', value]),
);

test('a clone gets its disks, its tap, and the template’s memory and state as descriptors', () => {
  const actual = launcherArguments({
    ...common,
    mode: 'run',
    deviceNodes: [],
    disks: [
      { slot: 'scratch', path: '/data/s', readOnly: false },
      { slot: 'image0', path: '/data/i', readOnly: true },
    ],
    tap: { name: 'tap7' },
    template: { memoryPath: '/proc/7/fd/5', statePath: '/run/x/t/state' },
  });
  assert.deepEqual(actual, [
    ...['run', '--directory', '/run/x/m', '--uid', '200007', '--cgroup', '/sys/fs/cgroup/cpu/sampan-ab/m'],
    ...environment,
    ...sockets,
    ...['--file', '20:r:/guest/rootfs.erofs', '--file', '21:rw:/data/s', '--file', '22:r:/data/i'],
    ...['--tap', '13:tap7'],
    ...['--file', '14:rw:/proc/7/fd/5', '--file', '15:r:/run/x/t/state'],
    ...['--', '/usr/bin/qemu-system-x86_64', '-M', 'microvm'],
  ]);
});

test('a template in the making under KVM is held, gets fresh memory, a kernel and /dev/kvm', () => {
  const actual = launcherArguments({
    ...common,
    mode: 'hold',
    cgroups: [],
    deviceNodes: ['/dev/kvm'],
    disks: [],
    boot: { kernelPath: '/guest/vmlinuz', initrdPath: '/guest/initrd.img' },
    newMemoryBytes: 268_435_456,
    program: '/opt/qemu/bin/qemu-system-x86_64',
  });
  assert.deepEqual(actual, [
    ...['hold', '--directory', '/run/x/m', '--uid', '200007', '--device', '/dev/kvm', '--show', '/opt/qemu'],
    ...environment,
    ...sockets,
    ...['--monitor', '/run/x/m/pass', '--file', '20:r:/guest/rootfs.erofs'],
    ...['--file', '16:r:/guest/vmlinuz', '--file', '17:r:/guest/initrd.img', '--memory', '14:268435456'],
    ...['--', '/opt/qemu/bin/qemu-system-x86_64', '-M', 'microvm'],
  ]);
});

test('a parked clone gets a spare tap', () => {
  const actual = launcherArguments({ ...common, mode: 'hold', deviceNodes: [], disks: [], tap: 'spare' });
  assert.equal(actual[actual.indexOf('--spare-tap') + 1], '13');
});

test('a share is a connection to a server that the launcher starts', () => {
  const list = [
    { tag: 'host', directory: '/run/p/shared', readOnly: false },
    { tag: 'r', directory: '/srv', readOnly: true },
  ];
  const shares = { serverPath: '/usr/lib/qemu/virtiofsd', list };
  const actual = launcherArguments({ ...common, mode: 'run', deviceNodes: [], disks: [], shares });
  const from = actual.indexOf('--share-server');
  assert.deepEqual(actual.slice(from, from + 6), [
    ...['--share-server', '/usr/lib/qemu/virtiofsd', '--share', '30:rw:/run/p/shared', '--share', '31:r:/srv'],
  ]);
});

test('a clone with a share gets a copy of the template’s memory, which its file server is given too', () => {
  const shares = { serverPath: '/v', list: [{ tag: 'host', directory: '/run/p/shared', readOnly: false }] };
  const template = { memoryPath: '/proc/7/fd/5', statePath: '/run/x/t/state' };
  const actual = launcherArguments({ ...common, mode: 'run', deviceNodes: [], disks: [], shares, template });
  assert.equal(actual[actual.indexOf('--memory-copy') + 1], '14:/proc/7/fd/5');
  assert.ok(!actual.includes('14:rw:/proc/7/fd/5'));
});
