/**
 * Which acceleration this host gives. A /dev/kvm that opens proves nothing: on a paravirtual host it creates machines in which a stock
 * kernel dies. So KVM is used only where the CPU has the extension and our own guest boots with it; and machines are cloned under it only where a
 * clone has lived, for what a clone takes over (interrupts, clocks, processors' state) is the kernel's there, and another one than emulation's.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { channelName } from '../check-spec.ts';
import { type Accelerator, accelerationProfiles } from './acceleration.ts';
import { agentAnswers } from './agent-answers.ts';
import { awaitReady, freezeTemplate, statePathOf } from './freeze-template.ts';
import { type KvmDevice, lookAtKvm, whyNoKvm } from './kvm-device.ts';
import { placeholderMac } from './qemu-arguments.ts';
import { type QemuContext, uidFor } from './qemu-context.ts';
import { readTemplateState, type StartedVmm, scrap, startVmm, withVmmWords } from './start-vmm.ts';

export interface Verdict {
  accelerator: Accelerator;
  reason: string;
  /** Machines have to boot; absent: clones live. */
  coldOnly?: true | undefined;
}

/** How long a machine may take, for the whole of its way. */
const bootTimeoutMs = 20_000;
const answerTimeoutMs = 10_000;
/** What did not work may have been for want of memory or time. */
const failureHoldsMs = 60 * 60_000;

const cacheSchema = z.object({
  /** What has to be the same for the verdict to hold. */
  of: z.string(),
  atMs: z.number(),
  accelerator: z.enum(['kvm', 'tcg']),
  reason: z.string(),
  coldOnly: z.literal(true).optional(),
});

/**
 * The verdict of a trial holds until the host boots again, gets another QEMU, guest or KVM, and one against KVM or clones for an hour; it is kept in
 * <run>/acceleration.json. With `anew` nothing is believed.
 */
export async function chooseAccelerator(context: QemuContext, { anew = false } = {}): Promise<Verdict> {
  const device = await lookAtKvm();
  const refusal = whyNoKvm(device);
  if (refusal) return { accelerator: 'tcg', reason: `${refusal}: emulating` };
  const path = join(context.run, 'acceleration.json');
  const of = await subjectOf(context, device);
  const nowMs = context.clock.now();
  const known = anew ? undefined : knownVerdict(await readTextIfExists(path), of, nowMs);
  if (known) return known;
  const verdict = await tryKvm({ ...context, profile: accelerationProfiles.kvm }, device);
  await writeFileAtomic(path, JSON.stringify({ of, atMs: nowMs, ...verdict }), { durable: false });
  return verdict;
}

async function subjectOf({ guest, qemuVersion }: QemuContext, { identity }: KvmDevice): Promise<string> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return JSON.stringify([bootId, qemuVersion, guest.version, identity]);
}

/** What the file says, if that still holds. Pure. */
export function knownVerdict(text: string | undefined, of: string, nowMs: number): Verdict | undefined {
  try {
    const { of: then, atMs, ...verdict } = cacheSchema.parse(JSON.parse(text ?? ''));
    const isFailure = verdict.accelerator === 'tcg' || verdict.coldOnly;
    const isOld = nowMs < atMs || nowMs - atMs > failureHoldsMs;
    return then === of && !(isFailure && isOld) ? verdict : undefined;
  } catch {
    return undefined;
  }
}

async function tryKvm(context: QemuContext, { extension }: KvmDevice): Promise<Verdict> {
  const boot = await bootsAlone(context).then(() => undefined, messageOf);
  if (boot !== undefined) {
    const reason = `the CPU shows ${extension}, but the guest does not boot with KVM (${short(boot)}): emulating`;
    return { accelerator: 'tcg', reason };
  }
  const clone = await clonesLive(context).then(() => undefined, messageOf);
  const works = `the CPU shows ${extension} and the guest boots with KVM`;
  if (clone === undefined) return { accelerator: 'kvm', reason: works };
  return { accelerator: 'kvm', reason: `${works}, but no clone of it lives (${short(clone)})`, coldOnly: true };
}

const short = (words: string): string => words.replace(/\s+/g, ' ').slice(0, 300);

/** Throws with the guest's, the launcher's or QEMU's words when a machine of the context's acceleration does not come up. */
export function bootsAlone(context: QemuContext, timeoutMs = bootTimeoutMs): Promise<void> {
  return inDirectory(context, 'boot', async (directory) => {
    const vmm = await startTrial(context, { start: 'cold', directory });
    await letGoAfter(vmm, () => awaitReady(context, vmm.qmp, { timeoutMs }));
  });
}

/** The same for a machine that is frozen and another that takes up its state and goes on. */
export function clonesLive(context: QemuContext, timeoutMs = answerTimeoutMs): Promise<void> {
  return inDirectory(context, 'template', async (directory) => {
    const memoryPath = await freezeTemplate(context, { directory, shape });
    const template = { memoryPath, statePath: statePathOf(directory) };
    await inDirectory(context, 'clone', async (cloneDirectory) => {
      const vmm = await startTrial(context, { start: 'clone', directory: cloneDirectory, template });
      await letGoAfter(vmm, async () => {
        await readTemplateState(vmm.qmp);
        await vmm.qmp.call('cont');
        await agentAnswers(join(cloneDirectory, channelName), context.clock, timeoutMs);
      });
    });
  });
}

const shape = { vcpus: 2, memoryMib: 256 };

interface Trial {
  start: 'cold' | 'clone';
  directory: string;
  template?: { memoryPath: string; statePath: string };
}

function startTrial(context: QemuContext, trial: Trial): Promise<StartedVmm> {
  const nic = trial.start === 'clone' ? ({ tap: 'spare', mac: placeholderMac } as const) : undefined;
  const uid = uidFor(trial.directory);
  return startVmm(context, { mode: 'hold', ...trial, uid, cgroups: [], shape, disks: [], ...(nic ? { nic } : {}) });
}

async function letGoAfter({ qmp, launcher }: StartedVmm, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    qmp.close();
    await launcher.kill();
  }
}

/** A directory of the trial's, gone afterwards with all that runs in it; what fails in it fails with QEMU's words. */
async function inDirectory(context: QemuContext, name: string, work: (directory: string) => Promise<void>) {
  const directory = join(context.run, `kvm-${name}`);
  await scrap(context, directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    await work(directory);
  } catch (error) {
    throw await withVmmWords(error, directory);
  } finally {
    await scrap(context, directory);
  }
}
