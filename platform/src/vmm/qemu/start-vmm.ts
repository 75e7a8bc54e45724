/** Starts one QEMU through the launcher and brings it to where its caller wants it: booting, or with a template's state read. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { readTextIfExists } from '../../base/files.ts';
import { removeOwnedParents } from '../cgroup-places.ts';
import { type DiskAttachment, type MachineShape, maxShares, type Share } from '../vmm.ts';
import { killAndWait, type ProcessFile, type ProcessId, readProcessFile } from '../vmm-process.ts';
import { descriptors } from './descriptors.ts';
import { Launcher } from './launcher.ts';
import { launcherArguments, socketNames } from './launcher-arguments.ts';
import { withoutRegisters } from './machine-exit.ts';
import { readMachineRecord } from './machine-record.ts';
import type { Phases } from './phases.ts';
import { type QemuArgumentsOptions, qemuArguments } from './qemu-arguments.ts';
import type { QemuContext } from './qemu-context.ts';
import { QmpClient } from './qmp.ts';

export interface StartOptions {
  mode: 'run' | 'hold';
  start: QemuArgumentsOptions['start'];
  directory: string;
  uid: number;
  cgroups: readonly string[];
  shape: MachineShape;
  disks: readonly DiskAttachment[];
  nic?: { tap: { name: string; netnsPath?: string } | 'spare'; mac: string };
  template?: { memoryPath: string; statePath: string };
  shares?: readonly Share[];
  phases?: Phases;
  /** Ends the launcher, however far it has come, and with it a VMM that it holds: whoever waits for either is told. */
  signal?: AbortSignal;
}

export interface StartedVmm {
  launcher: Launcher;
  process: ProcessId;
  qmp: QmpClient;
}

/** On error the VMM is dead; the directory is the caller's. Throws InternalError with the launcher's or QEMU's words. */
export async function startVmm(context: QemuContext, options: StartOptions): Promise<StartedVmm> {
  const { clock } = context;
  const tscKhz = options.start === 'clone' ? undefined : await context.tscKhz();
  const launcher = new Launcher(context.launcherPath, launcherArgumentsOf(context, options, tscKhz), clock);
  const { signal } = options;
  if (signal?.aborted) void launcher.kill();
  else signal?.addEventListener('abort', () => void launcher.kill());
  try {
    const process = await launcher.started();
    options.phases?.end('launcher');
    const qmp = await QmpClient.connect(join(options.directory, socketNames.monitor), clock);
    options.phases?.end('qemu');
    return { launcher, process, qmp };
  } catch (error) {
    await launcher.kill();
    const process = await readProcessFile(options.directory, 'pid');
    // The servers of its shares end with it, or with the directory (scrap).
    if (process) await killAndWait(process, clock);
    throw await withVmmWords(error, options.directory);
  }
}

/** Gives `work` a signal that follows `signal` for as long as it works, and not after: what it has made then is others'. */
export async function whileMaking<T>(signal: AbortSignal | undefined, work: (own: AbortSignal) => Promise<T>) {
  signal?.throwIfAborted();
  const own = new AbortController();
  const follow = () => own.abort(signal?.reason);
  signal?.addEventListener('abort', follow);
  try {
    return await work(own.signal);
  } finally {
    signal?.removeEventListener('abort', follow);
  }
}

function launcherArgumentsOf(context: QemuContext, options: StartOptions, tscKhz: number | undefined): string[] {
  const { guest, profile } = context;
  const { start, shape, disks, nic, shares } = options;
  return launcherArguments({
    mode: options.mode,
    directory: options.directory,
    uid: options.uid,
    cgroups: options.cgroups,
    deviceNodes: profile.deviceNodes,
    hugePages: profile.hugePages && start === 'cold',
    rootfsPath: guest.rootfsPath,
    disks,
    tap: nic?.tap,
    shares: shares && context.shareServerPath ? { serverPath: context.shareServerPath, list: shares } : undefined,
    ...(start === 'clone' ? { template: options.template } : { boot: guest }),
    ...(start === 'template' ? { newMemoryBytes: shape.memoryMib * 1024 * 1024 } : {}),
    program: context.qemuPath,
    programArguments: qemuArguments({
      profile,
      shape,
      start,
      filledSlots: disks.map((disk) => disk.slot),
      nic: nic && { mac: nic.mac },
      shares: shares?.map(({ tag }) => tag),
      tscKhz,
    }),
  });
}

/** Reads the template's device state; the machine is paused after it, as the template was. */
export async function readTemplateState(qmp: QmpClient): Promise<void> {
  const done = migrationEnd(qmp);
  await setMigrationCapabilities(qmp);
  // A clone moves in nowhere: nobody has to learn of a new place. Five broadcasts of each new machine, which wake every other, were a fifth of
  // the CPU that fifty machines took to come up together.
  await qmp.call('migrate-set-parameters', { 'announce-rounds': 0 });
  await qmp.call('migrate-incoming', { uri: `fd:${descriptors.state}` });
  await done;
}

export async function setMigrationCapabilities(qmp: QmpClient): Promise<void> {
  // x-ignore-shared: guest memory is not in the stream, it is the file both sides map.
  const capabilities = ['x-ignore-shared', 'events'].map((capability) => ({ capability, state: true }));
  await qmp.call('migrate-set-capabilities', { capabilities });
}

/** Resolves when the VMM says that the migration is complete. Throws InternalError when it failed or the VMM died of it. */
export function migrationEnd(qmp: QmpClient): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const before = qmp.onEvent;
  qmp.onEvent = (event) => {
    before(event);
    if (event.event !== 'MIGRATION') return;
    if (event.data.status === 'completed') resolve();
    if (event.data.status === 'failed')
      reject(new SampanError('InternalError', 'the VMM could not move the template state'));
  };
  void qmp.closed.then(() => reject(new SampanError('InternalError', 'the VMM died over the template state')));
  return promise.finally(() => {
    qmp.onEvent = before;
  });
}

/** Turns a failed start into what create() promises, with what QEMU wrote to its log. Idempotent. */
export async function withVmmWords(error: unknown, directory: string): Promise<SampanError> {
  const message = messageOf(error);
  if (isReason(error, 'InternalError', 'ResourceExhausted') && message.includes('; QEMU: ')) return error;
  const log = await readTextIfExists(join(directory, 'vmm.log')).catch(() => undefined);
  const said = log && withoutRegisters(log).trim();
  const words = said ? `${message}; QEMU: ${said.slice(-500)}` : message;
  const exhausted = /Cannot allocate memory|No space left|Too many open files/i.test(words);
  return new SampanError(exhausted ? 'ResourceExhausted' : 'InternalError', words, {}, { cause: error });
}

/** Kills what a directory's files name, removes its cgroups, and the directory. Idempotent. */
export async function scrap(context: QemuContext, directory: string): Promise<void> {
  const record = await readMachineRecord(directory);
  const servers = Array.from({ length: maxShares }, (_, index): ProcessFile => `share${index}`);
  for (const name of ['holder', 'pid', ...servers] as const) {
    const process = await readProcessFile(directory, name);
    if (process) await killAndWait(process, context.clock);
  }
  if (record) await context.cgroups.remove(record.cgroups, context);
  if (record?.ownsCgroupParent) await removeOwnedParents(record.cgroups, context.clock);
  await rm(directory, { recursive: true, force: true });
}
