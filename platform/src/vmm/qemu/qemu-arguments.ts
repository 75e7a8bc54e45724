/**
 * QEMU's command line, a pure function: the same devices in the same order for every machine of a shape, because a clone can only
 * read the device state of a machine that has them all.
 *
 * microvm has no hotplug, so every machine has all disk slots; an empty one stands on a null device, and blockdev-reopen puts a disk in.
 * The machine gets no file of the host by name: everything arrives as an open descriptor (descriptors.ts).
 */
import { type DiskSlot, diskSlots } from '../slots.ts';
import type { MachineShape } from '../vmm.ts';
import type { AccelerationProfile } from './acceleration.ts';
import { descriptors, diskDescriptor, shareDescriptor } from './descriptors.ts';

export interface QemuArgumentsOptions {
  profile: AccelerationProfile;
  shape: MachineShape;
  /** cold: boots the kernel, private memory; template: boots it, memory that clones will map; clone: reads the template's state. */
  start: 'cold' | 'template' | 'clone';
  /** Slots with a disk now; 'root' always has one. */
  filledSlots: readonly string[];
  /** Rate of the host's time stamp counter; of use to a machine that boots. */
  tscKhz?: number;
  /** Absent: the device is there, with no network behind it. */
  nic?: { mac: string };
  /** Tags; with start 'clone' at most one, which is plugged in later (late-share.ts). */
  shares?: readonly string[];
}

export const consoleBytes = 65_536;
/** A name's place in the MAC space of locally administered addresses; a machine without a network shows it. */
export const placeholderMac = '02:53:4d:50:00:00';

/**
 * What no Pod can reach in its own kernel is left out, for every start pays for it: no profile of AppArmor or TOMOYO is ever loaded, no
 * audit daemon listens, and nobody reads the pressure of a machine that has one Pod.
 */
const without = ['lsm=landlock,yama', 'audit=0', 'psi=0'];

/** Kernel parameters the guest asks for (guest/PROTOCOL.md, 1), with the acceleration's own. */
export function kernelCommandLine(profile: AccelerationProfile, host: { tscKhz?: number }): string {
  const common = ['console=ttyS0', 'quiet', 'random.trust_cpu=1', 'reboot=t', 'panic=-1', 'init_on_alloc=0'];
  return [...common, ...without, ...profile.kernelParameters(host)].join(' ');
}

export function qemuArguments(options: QemuArgumentsOptions): string[] {
  return [
    ...machineArguments(options),
    ...bootArguments(options),
    ...controlArguments(),
    ...diskSlots.flatMap((slot) =>
      diskArguments(slot, slot.name === 'root' || options.filledSlots.includes(slot.name)),
    ),
    ...networkArguments(options.nic),
    ...channelArguments(),
    ...['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-device,rng=rng'],
    ...(options.start === 'template' ? placeholderArguments : []),
    ...(options.shares ?? []).flatMap((tag, index) => shareArguments(tag, index, options.start)),
  ];
}

function machineArguments({ profile, shape, start, shares }: QemuArgumentsOptions): string[] {
  // acpi announces the virtio devices to a kernel without VIRTIO_MMIO_CMDLINE_DEVICES; the second I/O APIC gives 24 virtio slots
  // instead of 8. No PIT: nobody needs it where the rate of the TSC is known (acceleration.ts), and it wakes an idle VMM 36 times a second.
  const machine = [
    'microvm,acpi=on,rtc=on,pit=off,pic=on,ioapic2=on,isa-serial=on',
    'auto-kernel-cmdline=off,memory-backend=ram',
  ].join(',');
  return [
    ...['-name', 'sampan', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-M', machine, '-accel', profile.accelerationOption, '-cpu', profile.cpu],
    ...['-smp', `cpus=${shape.vcpus},sockets=1,cores=${shape.vcpus},threads=1`, '-m', `size=${shape.memoryMib}M`],
    ...['-object', memoryBackend(shape, start, Boolean(shares?.length))],
    ...['-global', 'virtio-mmio.force-legacy=false'],
    // A guest that powers off, resets or panics stops its VMM, which waits to be asked why: the answer outlives a server that is away.
    ...['-action', 'reboot=shutdown,shutdown=pause,panic=pause'],
  ];
}

function memoryBackend(shape: MachineShape, start: QemuArgumentsOptions['start'], shared: boolean): string {
  const size = `size=${shape.memoryMib}M,merge=off,dump=off`;
  // Who serves a share reads and writes the guest's memory: it is handed this memory's descriptor, which no other machine has.
  if (start === 'cold' && shared) return `memory-backend-memfd,id=ram,${size},share=on`;
  if (start === 'cold') return `memory-backend-ram,id=ram,${size}`;
  const path = `mem-path=/proc/self/fd/${descriptors.memory}`;
  if (start === 'template' || shared) return `memory-backend-file,id=ram,${size},${path},share=on`;
  return `memory-backend-file,id=ram,${size},${path},share=off`;
}

/** A clone needs no kernel: it is in the memory already, and QEMU would keep copies of both files on its heap. */
function bootArguments({ profile, start, tscKhz }: QemuArgumentsOptions): string[] {
  if (start === 'clone') return ['-incoming', 'defer'];
  return [
    ...['-kernel', `/proc/self/fd/${descriptors.kernel}`, '-initrd', `/proc/self/fd/${descriptors.initrd}`],
    ...['-append', kernelCommandLine(profile, { tscKhz })],
  ];
}

function controlArguments(): string[] {
  const socket = (id: string, fd: number) => ['-chardev', `socket,id=${id},fd=${fd},server=on,wait=off`];
  return [
    ...socket('monitor', descriptors.monitor),
    ...['-mon', 'chardev=monitor,mode=control'],
    ...socket('pass', descriptors.passMonitor),
    ...['-mon', 'chardev=pass,mode=control'],
    // In QEMU's memory and bounded, read over QMP: a file would grow as the guest likes.
    ...['-chardev', `ringbuf,id=console,size=${consoleBytes}`, '-serial', 'chardev:console'],
  ];
}

function diskArguments(slot: DiskSlot, filled: boolean): string[] {
  const set = diskDescriptor(slot.name);
  const backing = filled ? fileNode(slot, `file-${slot.name}`) : emptyNode(slot);
  return [
    ...(filled ? ['-add-fd', `fd=${set},set=${set}`] : []),
    ...['-blockdev', JSON.stringify(backing)],
    ...['-blockdev', JSON.stringify(slotNode(slot, backing['node-name']))],
    ...['-device', `virtio-blk-device,drive=${slot.name},serial=${slot.name},id=disk-${slot.name}`],
  ];
}

export interface BlockNode {
  driver: string;
  'node-name': string;
  'read-only': boolean;
  [option: string]: unknown;
}

/** The node that opens the disk's descriptor. */
export function fileNode(slot: DiskSlot, name: string): BlockNode {
  return {
    driver: 'file',
    'node-name': name,
    filename: `/dev/fdset/${diskDescriptor(slot.name)}`,
    'read-only': slot.readOnly,
    locking: 'off',
    ...(slot.readOnly ? {} : { discard: 'unmap' }),
    ...(slot.ephemeral ? { cache: { 'no-flush': true } } : {}),
  };
}

/** The guest leaves these bound in a template, and so keeps the size it saw there: larger than any disk to come (guest/PROTOCOL.md, 1). */
const boundSlots = ['scratch', 'image0'];
const largestDiskBytes = 2 ** 43;

/** What stands behind a slot without a disk. */
export function emptyNode(slot: DiskSlot): BlockNode {
  return {
    driver: 'null-co',
    'node-name': `empty-${slot.name}`,
    'read-only': slot.readOnly,
    size: boundSlots.includes(slot.name) ? largestDiskBytes : 0,
    'read-zeroes': true,
  };
}

/** The node the device is tied to for good; blockdev-reopen gives it another `file`. */
export function slotNode(slot: DiskSlot, file: string): BlockNode {
  return {
    driver: 'raw',
    'node-name': slot.name,
    'read-only': slot.readOnly,
    ...(slot.readOnly ? {} : { discard: 'unmap' }),
    ...(slot.ephemeral ? { cache: { 'no-flush': true } } : {}),
    file,
  };
}

function networkArguments(nic: QemuArgumentsOptions['nic']): string[] {
  const backend = nic ? `tap,id=net,fd=${descriptors.tap},vhost=off` : 'hubport,id=net,hubid=0';
  return ['-netdev', backend, '-device', `virtio-net-device,id=nic,netdev=net,mac=${nic?.mac ?? placeholderMac}`];
}

/**
 * A machine's other devices stand on the buses from 23 down to 11. Not 9, 8 and 4, where they would come next: KVM leads a pin of the second I/O APIC and the
 * same one of the first to one place (ioapic_update_kvm_routes), and there the first has ACPI, the clock and the serial line.
 */
export const firstIoapicPins = [4, 8, 9];
const shareBuses = [10, 7, 6, 5].map((pin) => `virtio-mmio-bus.${pin}`);

/** virtiofs: the file server is a process of its own at the other end of an open connection (launcher, share.rs). */
function shareArguments(tag: string, index: number, start: QemuArgumentsOptions['start']): string[] {
  const id = `share${index}`;
  return [
    ...['-chardev', `socket,id=${id},fd=${shareDescriptor(index)}`],
    ...(start === 'clone'
      ? plugArguments
      : ['-device', `vhost-user-fs-device,chardev=${id},tag=${tag},bus=${shareBuses[index]}`]),
  ];
}

/** Not the first: QEMU takes its interrupt for that of another pin (ioapic_set_irq). Where the guest of a template sees a device that nobody drives, and a clone may have its share. */
export const lateShareBus = 'virtio-mmio-bus.1';
/** Of all devices only this one has no state of its own: a clone need not have it to read the template's. */
const placeholderArguments = [
  ...['-object', 'memory-backend-ram,id=placeholder,size=4K'],
  ...['-device', `virtio-pmem,memdev=placeholder,bus=${lateShareBus}`],
];
/** A place that the guest does not know. What it has is a bus whose plugging does nothing: late-share.ts borrows that. */
const plugArguments = ['-device', 'virtio-scsi-device,id=plug,bus=virtio-mmio-bus.0'];
export const plugHandler = '/machine/peripheral/plug/plug.0';

function channelArguments(): string[] {
  return [
    ...['-chardev', `socket,id=agent,fd=${descriptors.channel},server=on,wait=off`],
    // Port 0 is a console's. Each port that there could be has two queues, whose tables the VMM keeps: of the usual 31 ports, 450 KiB.
    ...['-device', 'virtio-serial-device,id=serial,max_ports=2'],
    ...['-device', 'virtserialport,chardev=agent,name=sampan.agent'],
  ];
}
