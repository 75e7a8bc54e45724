import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskSlots } from '../slots.ts';
import { maxShares } from '../vmm.ts';
import { accelerationProfiles } from './acceleration.ts';
import { firstIoapicPins, kernelCommandLine, qemuArguments } from './qemu-arguments.ts';

const shape = { vcpus: 2, memoryMib: 512 };

/** Everything that is the same for every machine of the shape, but for the accelerator's -accel and -cpu. */
const machine = (accel: string, cpu: string, memory: string) => [
  ...['-name', 'sampan', '-nodefaults', '-no-user-config', '-display', 'none'],
  ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  '-M',
  'microvm,acpi=on,rtc=on,pit=off,pic=on,ioapic2=on,isa-serial=on,auto-kernel-cmdline=off,memory-backend=ram',
  ...['-accel', accel, '-cpu', cpu],
  ...['-smp', 'cpus=2,sockets=1,cores=2,threads=1', '-m', 'size=512M'],
  ...['-object', memory],
  ...['-global', 'virtio-mmio.force-legacy=false'],
  ...['-action', 'reboot=shutdown,shutdown=pause,panic=pause'],
];

const control = [
  ...['-chardev', 'socket,id=monitor,fd=10,server=on,wait=off', '-mon', 'chardev=monitor,mode=control'],
  ...['-chardev', 'socket,id=pass,fd=11,server=on,wait=off', '-mon', 'chardev=pass,mode=control'],
  ...['-chardev', 'ringbuf,id=console,size=65536', '-serial', 'chardev:console'],
];

const tail = (netdev: string, mac: string) => [
  ...['-netdev', netdev, '-device', `virtio-net-device,id=nic,netdev=net,mac=${mac}`],
  ...['-chardev', 'socket,id=agent,fd=12,server=on,wait=off'],
  ...['-device', 'virtio-serial-device,id=serial,max_ports=2'],
  ...['-device', 'virtserialport,chardev=agent,name=sampan.agent'],
  ...['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-device,rng=rng'],
];

const device = (slot: string) => ['-device', `virtio-blk-device,drive=${slot},serial=${slot},id=disk-${slot}`];

const rootDisk = [
  ...['-add-fd', 'fd=20,set=20'],
  '-blockdev',
  '{"driver":"file","node-name":"file-root","filename":"/dev/fdset/20","read-only":true,"locking":"off"}',
  ...['-blockdev', '{"driver":"raw","node-name":"root","read-only":true,"file":"file-root"}'],
  ...device('root'),
];

const filledScratch = [
  ...['-add-fd', 'fd=21,set=21'],
  '-blockdev',
  '{"driver":"file","node-name":"file-scratch","filename":"/dev/fdset/21","read-only":false,"locking":"off","discard":"unmap","cache":{"no-flush":true}}',
  '-blockdev',
  '{"driver":"raw","node-name":"scratch","read-only":false,"discard":"unmap","cache":{"no-flush":true},"file":"file-scratch"}',
  ...device('scratch'),
];

const emptyDisk = (slot: string) => {
  const readOnly = slot.startsWith('image');
  const size = slot === 'scratch' || slot === 'image0' ? 8_796_093_022_208 : 0;
  const options =
    slot === 'scratch' ? ',"discard":"unmap","cache":{"no-flush":true}' : readOnly ? '' : ',"discard":"unmap"';
  return [
    '-blockdev',
    `{"driver":"null-co","node-name":"empty-${slot}","read-only":${readOnly},"size":${size},"read-zeroes":true}`,
    '-blockdev',
    `{"driver":"raw","node-name":"${slot}","read-only":${readOnly}${options},"file":"empty-${slot}"}`,
    ...device(slot),
  ];
};

const kvm = ['kvm,kernel-irqchip=split', 'host,vmx=off,svm=off,pmu=off'] as const;

const images = Array.from({ length: 8 }, (_, index) => `image${index}`);

test('a clone under TCG gets exactly these arguments', () => {
  const actual = qemuArguments({
    profile: accelerationProfiles.tcg,
    shape,
    start: 'clone',
    filledSlots: ['scratch'],
    nic: { mac: '02:00:00:00:00:07' },
  });
  assert.deepEqual(actual, [
    ...machine(
      'tcg,thread=multi,tb-size=48',
      'qemu64,+arat,+ssse3,+sse4.1,+sse4.2,+popcnt',
      'memory-backend-file,id=ram,size=512M,merge=off,dump=off,mem-path=/proc/self/fd/14,share=off',
    ),
    ...['-incoming', 'defer'],
    ...control,
    ...rootDisk,
    ...filledScratch,
    ...images.flatMap(emptyDisk),
    ...tail('tap,id=net,fd=13,vhost=off', '02:00:00:00:00:07'),
  ]);
});

test('a cold boot under KVM gets exactly these arguments', () => {
  const actual = qemuArguments({
    profile: accelerationProfiles.kvm,
    shape,
    start: 'cold',
    tscKhz: 2_500_000,
    filledSlots: ['scratch'],
    nic: { mac: '02:00:00:00:00:07' },
  });
  assert.deepEqual(actual, [
    ...machine(...kvm, 'memory-backend-ram,id=ram,size=512M,merge=off,dump=off'),
    ...['-kernel', '/proc/self/fd/16', '-initrd', '/proc/self/fd/17'],
    ...[
      '-append',
      'console=ttyS0 quiet random.trust_cpu=1 reboot=t panic=-1 init_on_alloc=0 lsm=landlock,yama audit=0 psi=0 tsc=nowatchdog',
    ],
    ...control,
    ...rootDisk,
    ...filledScratch,
    ...images.flatMap(emptyDisk),
    ...tail('tap,id=net,fd=13,vhost=off', '02:00:00:00:00:07'),
  ]);
});

test('a clone under KVM gets exactly these arguments: its template’s machine, its memory and no kernel', () => {
  const actual = qemuArguments({
    profile: accelerationProfiles.kvm,
    shape,
    start: 'clone',
    filledSlots: ['scratch'],
    nic: { mac: '02:00:00:00:00:07' },
  });
  assert.deepEqual(actual, [
    ...machine(...kvm, 'memory-backend-file,id=ram,size=512M,merge=off,dump=off,mem-path=/proc/self/fd/14,share=off'),
    ...['-incoming', 'defer'],
    ...control,
    ...rootDisk,
    ...filledScratch,
    ...images.flatMap(emptyDisk),
    ...tail('tap,id=net,fd=13,vhost=off', '02:00:00:00:00:07'),
  ]);
});

test('a template shares its memory, and only root has a disk and nothing a network', () => {
  const actual = qemuArguments({ profile: accelerationProfiles.tcg, shape, start: 'template', filledSlots: [] });
  assert.ok(
    actual.includes('memory-backend-file,id=ram,size=512M,merge=off,dump=off,mem-path=/proc/self/fd/14,share=on'),
  );
  assert.ok(actual.includes('hubport,id=net,hubid=0'));
  assert.equal(actual.filter((argument) => argument.includes('"driver":"null-co"')).length, diskSlots.length - 1);
});

test('a template and its clones have the same devices in the same order, but for the one that keeps a place for a share', () => {
  const devices = (start: 'template' | 'clone', nic?: { mac: string }) =>
    qemuArguments({ profile: accelerationProfiles.tcg, shape, start, filledSlots: ['image1'], nic })
      .filter((_, index, all) => all[index - 1] === '-device')
      .map((argument) => argument.replace(/,mac=.*/, ''));
  const placeholder = 'virtio-pmem,memdev=placeholder,bus=virtio-mmio-bus.1';
  assert.deepEqual(devices('template'), [...devices('clone', { mac: '02:00:00:00:00:01' }), placeholder]);
});

test('KVM and TCG differ in -accel, -cpu and the kernel parameters alone', () => {
  const of = (accelerator: 'kvm' | 'tcg') =>
    qemuArguments({ profile: accelerationProfiles[accelerator], shape, start: 'cold', tscKhz: 1, filledSlots: [] });
  const [kvm, tcg] = [of('kvm'), of('tcg')];
  const different = kvm.flatMap((argument, index) => (argument === tcg[index] ? [] : [kvm[index - 1]]));
  assert.deepEqual(different, ['-accel', '-cpu', '-append']);
  assert.equal(kvm.length, tcg.length);
});

test('a guest under TCG is told the rate of the time stamp counter', () => {
  const line = kernelCommandLine(accelerationProfiles.tcg, { tscKhz: 2_596_122 });
  assert.match(line, / tsc=reliable tsc_early_khz=2596122$/);
  assert.doesNotMatch(kernelCommandLine(accelerationProfiles.tcg, {}), /tsc_early_khz/);
});

test('a machine with shares has memory that can be handed on, and a device a share with an open connection behind it', () => {
  const options = { profile: accelerationProfiles.tcg, shape, start: 'cold', filledSlots: [] } as const;
  const plain = qemuArguments(options);
  const actual = qemuArguments({ ...options, shares: ['host', 'b'] });
  assert.ok(actual.includes('memory-backend-memfd,id=ram,size=512M,merge=off,dump=off,share=on'));
  assert.deepEqual(actual.slice(plain.length), [
    ...['-chardev', 'socket,id=share0,fd=30'],
    ...['-device', 'vhost-user-fs-device,chardev=share0,tag=host,bus=virtio-mmio-bus.10'],
    ...['-chardev', 'socket,id=share1,fd=31'],
    ...['-device', 'vhost-user-fs-device,chardev=share1,tag=b,bus=virtio-mmio-bus.7'],
  ]);
});

test('no device stands where KVM would take its interrupt for ACPI’s, the clock’s or the serial line’s, with however many shares', () => {
  const tags = Array.from({ length: maxShares }, (_, index) => `s${index}`);
  for (const start of ['cold', 'template', 'clone'] as const) {
    const shares = start === 'cold' ? tags : start === 'clone' ? ['host'] : [];
    const devices = qemuArguments({ profile: accelerationProfiles.kvm, shape, start, filledSlots: [], shares })
      .filter((_, index, all) => all[index - 1] === '-device')
      .filter((device) => !device.startsWith('virtserialport'));
    const named = devices.flatMap((device) => /bus=virtio-mmio-bus\.(\d+)$/.exec(device)?.[1] ?? []).map(Number);
    // QEMU gives the others the last bus that is free, one after another (seen with `info qtree`).
    const others = Array.from({ length: devices.length - named.length }, (_, index) => 23 - index);
    const taken = [...named, ...others];
    assert.equal(new Set(taken).size, devices.length, `${start}: each its own of ${taken}`);
    assert.deepEqual(
      taken.filter((pin) => firstIoapicPins.includes(pin)),
      [],
      start,
    );
  }
});

test('a clone with a share has memory of its own to hand on, the connection, and no device for it yet', () => {
  const options = { profile: accelerationProfiles.tcg, shape, start: 'clone', filledSlots: [] } as const;
  const plain = qemuArguments(options);
  const actual = qemuArguments({ ...options, shares: ['host'] });
  const memory = 'memory-backend-file,id=ram,size=512M,merge=off,dump=off,mem-path=/proc/self/fd/14,share=';
  assert.ok(plain.includes(`${memory}off`) && actual.includes(`${memory}on`));
  assert.deepEqual(actual.slice(plain.length), [
    ...['-chardev', 'socket,id=share0,fd=30', '-device', 'virtio-scsi-device,id=plug,bus=virtio-mmio-bus.0'],
  ]);
});
