/**
 * Which acceleration this host gives. A /dev/kvm that opens proves nothing: on a paravirtual host it creates machines in which a stock
 * kernel dies. So KVM is used only where the CPU has the extension and our own guest boots with it.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { type Accelerator, accelerationProfiles } from './acceleration.ts';
import { awaitReady } from './freeze-template.ts';
import { type QemuContext, uidFor } from './qemu-context.ts';
import { scrap, startVmm } from './start-vmm.ts';

export interface Verdict {
  accelerator: Accelerator;
  reason: string;
}

const probeTimeoutMs = 20_000;
const cacheSchema = z.object({
  bootId: z.string(),
  qemuVersion: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  reason: z.string(),
});

/** The verdict holds until the host boots again or gets another QEMU; it is kept in <run>/acceleration.json. */
export async function chooseAccelerator(context: QemuContext): Promise<Verdict> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const path = join(context.run, 'acceleration.json');
  const cached = parseCache(await readTextIfExists(path));
  if (cached?.bootId === bootId && cached.qemuVersion === context.qemuVersion) return cached;
  const verdict = await probe(context);
  const record = { bootId, qemuVersion: context.qemuVersion, ...verdict };
  await writeFileAtomic(path, JSON.stringify(record), { durable: false });
  return verdict;
}

function parseCache(text: string | undefined): z.infer<typeof cacheSchema> | undefined {
  try {
    return text === undefined ? undefined : cacheSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function probe(context: QemuContext): Promise<Verdict> {
  const extension = virtualisationExtension(await readFile('/proc/cpuinfo', 'utf8'));
  if (!extension) return { accelerator: 'tcg', reason: 'the CPU shows neither vmx nor svm: emulating' };
  const failure = await bootWithKvm(context).then(() => undefined, messageOf);
  if (failure)
    return {
      accelerator: 'tcg',
      reason: `the CPU shows ${extension}, but the guest does not boot with KVM (${failure.slice(0, 200)}): emulating`,
    };
  return { accelerator: 'kvm', reason: `the CPU shows ${extension} and the guest boots with KVM` };
}

/** From /proc/cpuinfo. */
export function virtualisationExtension(cpuinfo: string): 'vmx' | 'svm' | undefined {
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  return flags.includes('vmx') ? 'vmx' : flags.includes('svm') ? 'svm' : undefined;
}

async function bootWithKvm(context: QemuContext): Promise<void> {
  const directory = join(context.run, 'kvm-probe');
  const kvm = { ...context, profile: accelerationProfiles.kvm };
  await scrap(context, directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    const vmm = await startVmm(kvm, {
      mode: 'hold',
      start: 'cold',
      directory,
      uid: uidFor(directory),
      cgroups: [],
      shape: { vcpus: 1, memoryMib: 256 },
      disks: [],
    });
    try {
      await awaitReady(kvm, vmm.qmp, { timeoutMs: probeTimeoutMs });
    } finally {
      vmm.qmp.close();
      await vmm.launcher.kill();
    }
  } finally {
    await scrap(context, directory);
  }
}
