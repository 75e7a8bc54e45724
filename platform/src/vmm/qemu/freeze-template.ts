/** Boots a guest to "agent ready" and freezes it: device state in a file, memory sealed and held by the launcher. */
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { MachineShape } from '../vmm.ts';
import { killAndWait } from '../vmm-process.ts';
import type { Launcher } from './launcher.ts';
import { consoleBytes, placeholderMac } from './qemu-arguments.ts';
import { type QemuContext, uidFor } from './qemu-context.ts';
import { type QmpClient, statusOf } from './qmp.ts';
import { migrationEnd, type StartedVmm, setMigrationCapabilities, startVmm, whileMaking } from './start-vmm.ts';

const bootTimeoutMs = 90_000;
const readyLine = /^sampan-agent: ready\r?$/m;
const failureLine = /^sampan-agent: cannot boot: [^\r\n]*|Kernel panic - not syncing[^\r\n]*/m;

export interface FreezeOptions {
  directory: string;
  shape: MachineShape;
  signal?: AbortSignal;
}

export const statePathOf = (directory: string): string => join(directory, 'state');

/** Returns the path of the held memory. On error, and when it is aborted, nothing runs any more. */
export function freezeTemplate(context: QemuContext, options: FreezeOptions): Promise<string> {
  return whileMaking(options.signal, (signal) => freeze(context, { ...options, signal }));
}

async function freeze(context: QemuContext, options: FreezeOptions): Promise<string> {
  const { directory, shape, signal } = options;
  const vmm = await startVmm(context, {
    mode: 'hold',
    start: 'template',
    directory,
    uid: uidFor(directory),
    cgroups: [],
    shape,
    disks: [],
    // Its driver stays bound, and agrees with the device on what a tap can do.
    nic: { tap: 'spare', mac: placeholderMac },
    signal,
  });
  try {
    await awaitReady(context, vmm.qmp, { signal });
    return await keepFrozen(vmm, directory);
  } catch (error) {
    await abandon(context, vmm);
    throw error;
  }
}

/** Ends a machine with fresh memory (start 'template'); what it was stays: its state in the directory, its memory at the path that is returned. */
export async function keepFrozen(vmm: StartedVmm, directory: string): Promise<string> {
  await vmm.qmp.call('stop');
  await saveState(vmm, statePathOf(directory));
  await vmm.qmp.call('quit');
  const memoryPath = await vmm.launcher.command('keep');
  vmm.launcher.detach();
  return memoryPath;
}

/** Waits for the agent's line on the console. Throws InternalError with the console's last words, or Timeout. */
export async function awaitReady(
  { clock }: QemuContext,
  qmp: QmpClient,
  { signal, timeoutMs = bootTimeoutMs }: { signal?: AbortSignal; timeoutMs?: number },
): Promise<void> {
  const deadline = clock.monotonicMs() + timeoutMs;
  const stopped = await whenStopped(qmp);
  for (let console = ''; ; ) {
    const stood = stopped.is;
    console += String(await qmp.call('ringbuf-read', { device: 'console', size: consoleBytes }));
    if (readyLine.test(console)) return;
    const failure = failureLine.exec(console)?.[0];
    if (failure) throw new SampanError('InternalError', `the guest did not boot: ${failure}`);
    if (stood)
      throw new SampanError(
        'InternalError',
        `the guest did not boot: its machine stands still (${await statusOf(qmp)}); its console ends: ${console.slice(-300)}`,
      );
    if (clock.monotonicMs() > deadline)
      throw new SampanError(
        'Timeout',
        `the guest was not ready after ${timeoutMs} ms; its console ends: ${console.slice(-300)}`,
      );
    await clock.sleep(10, signal);
  }
}

/** A guest that resets, and one that KVM cannot run, stops its machine (-action, kvm_cpu_exec): there is nothing to wait for. */
async function whenStopped(qmp: QmpClient): Promise<{ is: boolean }> {
  const stopped = { is: false };
  const before = qmp.onEvent;
  qmp.onEvent = (event) => {
    before(event);
    if (event.event === 'STOP' || event.event === 'SHUTDOWN') stopped.is = true;
  };
  // It may have been so before anybody listened.
  stopped.is ||= (await statusOf(qmp)) !== 'running';
  return stopped;
}

/** The descriptor belongs to the launcher's monitor, so the command that uses it has to come from there too. */
async function saveState({ launcher, qmp }: StartedVmm, path: string): Promise<void> {
  const done = migrationEnd(qmp);
  await setMigrationCapabilities(qmp);
  accepted(await launcher.command('send', 'new', path, '{"execute":"getfd","arguments":{"fdname":"state"}}'));
  accepted(await launcher.command('call', '{"execute":"migrate","arguments":{"uri":"fd:state"}}'));
  await done;
}

function accepted(answer: string): void {
  if (!answer.startsWith('{"return"'))
    throw new SampanError('InternalError', `the VMM did not save its state: ${answer.slice(0, 300)}`);
}

async function abandon(
  context: QemuContext,
  vmm: { qmp: QmpClient; launcher: Launcher; process: StartedVmm['process'] },
) {
  vmm.qmp.close();
  await vmm.launcher.kill();
  await killAndWait(vmm.process, context.clock).catch((error) =>
    context.log.error({ error: messageOf(error) }, 'a template VMM does not die'),
  );
}
