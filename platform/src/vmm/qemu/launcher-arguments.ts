/** The launcher's command line (host/launcher/src/options.rs), a pure function beside qemu-arguments.ts. */
import { channelName } from '../check-spec.ts';
import type { DiskAttachment, Share } from '../vmm.ts';
import { descriptors, diskDescriptor, shareDescriptor } from './descriptors.ts';

export interface LauncherArgumentsOptions {
  /** hold: the launcher stays and serves commands. */
  mode: 'run' | 'hold';
  directory: string;
  uid: number;
  cgroups: readonly string[];
  deviceNodes: readonly string[];
  /** The kernel may give it huge pages: faster, and wasteful for a machine that shares a template's memory. */
  hugePages: boolean;
  rootfsPath: string;
  disks: readonly DiskAttachment[];
  /** A tap's name, or 'spare' for one that is named later (hold only). */
  tap?: { name: string; netnsPath?: string } | 'spare';
  /** Their servers' program, and the shares. */
  shares?: { serverPath: string; list: readonly Share[] };
  /** Booting machines. */
  boot?: { kernelPath: string; initrdPath: string };
  /** A template in the making: fresh memory. */
  newMemoryBytes?: number;
  /** A clone: the template's memory and state. */
  template?: { memoryPath: string; statePath: string };
  program: string;
  programArguments: readonly string[];
}

export const socketNames = { monitor: 'qmp', passMonitor: 'pass', channel: channelName } as const;

/**
 * One arena: QEMU's threads hardly allocate at the same time, and each arena costs memory in every machine. No slabs of GLib's own: the nodes by which
 * TCG finds its blocks take a third less straight from malloc.
 */
const environment = [
  'PATH=/usr/bin:/bin',
  'MALLOC_ARENA_MAX=1',
  'G_SLICE=always-malloc',
  'MALLOC_TRIM_THRESHOLD_=131072',
];

export function launcherArguments(options: LauncherArgumentsOptions): string[] {
  const { directory, mode } = options;
  const listen = (fd: number, name: string) => ['--listen', `${fd}:${directory}/${name}`];
  return [
    ...[mode, '--directory', directory, '--uid', String(options.uid)],
    ...options.cgroups.flatMap((path) => ['--cgroup', path]),
    ...options.deviceNodes.flatMap((path) => ['--device', path]),
    ...show(options.program),
    ...environment.flatMap((variable) => ['--env', variable]),
    ...(options.hugePages ? [] : ['--huge-pages', 'no']),
    ...listen(descriptors.monitor, socketNames.monitor),
    ...listen(descriptors.passMonitor, socketNames.passMonitor),
    ...listen(descriptors.channel, socketNames.channel),
    ...(mode === 'hold' ? ['--monitor', `${directory}/${socketNames.passMonitor}`] : []),
    ...file(diskDescriptor('root'), options.rootfsPath, true),
    ...options.disks.flatMap((disk) => file(diskDescriptor(disk.slot), disk.path, disk.readOnly)),
    ...tapArguments(options.tap),
    ...shareArguments(options.shares),
    ...bootFiles(options),
    ...['--', options.program, ...options.programArguments],
  ];
}

function file(fd: number, path: string, readOnly: boolean): string[] {
  return ['--file', `${fd}:${readOnly ? 'r' : 'rw'}:${path}`];
}

function tapArguments(tap: LauncherArgumentsOptions['tap']): string[] {
  if (!tap) return [];
  if (tap === 'spare') return ['--spare-tap', String(descriptors.tap)];
  return ['--tap', [descriptors.tap, tap.name, ...(tap.netnsPath ? [tap.netnsPath] : [])].join(':')];
}

function shareArguments(shares: LauncherArgumentsOptions['shares']): string[] {
  if (!shares?.list.length) return [];
  const give = ({ readOnly, directory }: Share, index: number) => [
    '--share',
    `${shareDescriptor(index)}:${readOnly ? 'r' : 'rw'}:${directory}`,
  ];
  return ['--share-server', shares.serverPath, ...shares.list.flatMap(give)];
}

function bootFiles({ boot, newMemoryBytes, template, shares }: LauncherArgumentsOptions): string[] {
  return [
    ...(boot
      ? [...file(descriptors.kernel, boot.kernelPath, true), ...file(descriptors.initrd, boot.initrdPath, true)]
      : []),
    ...(newMemoryBytes ? ['--memory', `${descriptors.memory}:${newMemoryBytes}`] : []),
    ...(template ? memory(template.memoryPath, Boolean(shares?.list.length)) : []),
    ...(template ? file(descriptors.state, template.statePath, true) : []),
  ];
}

/** Of a clone: the template's own, or, where a server of shares has to have it too, a copy. */
function memory(path: string, isHandedOn: boolean): string[] {
  if (isHandedOn) return ['--memory-copy', `${descriptors.memory}:${path}`];
  // Writable because QEMU insists on opening it so; its seals keep it from being written.
  return file(descriptors.memory, path, false);
}

/** A VMM outside the system's directories needs its own shown in the jail. */
function show(program: string): string[] {
  const top = /^\/(opt|srv|home)\/[^/]+/.exec(program)?.[0];
  return top ? ['--show', top] : [];
}
