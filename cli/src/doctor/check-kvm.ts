/** Whether machines run on hardware virtualisation, and what to do where they cannot. */
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type CliInstance, runningServer } from '../instance.ts';
import type { Finding } from './finding.ts';

/** As the server keeps it in its run directory once it has tried (platform/src/vmm/qemu/kvm-probe.ts). */
const verdictSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  reason: z.string(),
  coldOnly: z.boolean().optional(),
});

export interface KvmSigns {
  /** Of the CPU. */
  extension: string | undefined;
  /** Why /dev/kvm cannot be opened, an errno's name; undefined: it can. */
  refusal: string | undefined;
  isRoot: boolean;
  /** What the running server has found by trying. */
  verdict?: z.infer<typeof verdictSchema> | undefined;
}

export async function checkKvm(instance: CliInstance): Promise<Finding> {
  const flags = /^flags\s*:(.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  const extension = / (vmx|svm)\b/.exec(flags)?.[1];
  const refusal = await open('/dev/kvm', constants.O_RDWR).then(
    async (device) => void (await device.close()),
    ({ code }: NodeJS.ErrnoException) => code ?? 'unknown',
  );
  const isRoot = process.getuid?.() === 0;
  return { check: 'kvm', ...describeKvm({ extension, refusal, isRoot, verdict: await verdictOf(instance) }) };
}

async function verdictOf(instance: CliInstance): Promise<KvmSigns['verdict']> {
  try {
    const { run } = (await runningServer(instance)) ?? {};
    return run ? verdictSchema.parse(JSON.parse(await readFile(join(run, 'acceleration.json'), 'utf8'))) : undefined;
  } catch {
    return undefined;
  }
}

const emulated = "VMs run under QEMU's TCG, about ten times slower";

/** KVM counts only with the CPU's own support: on paravirtual hosts /dev/kvm opens and then runs no stock kernel. Pure. */
export function describeKvm({ extension, refusal, isRoot, verdict }: KvmSigns): Omit<Finding, 'check'> {
  const device = refusal
    ? refusal === 'ENOENT'
      ? 'no /dev/kvm'
      : `/dev/kvm does not open (${refusal})`
    : '/dev/kvm opens';
  if (!extension)
    return {
      state: 'warn',
      found: `${device}, the CPU shows neither vmx nor svm: ${emulated}`,
      mend: 'enable virtualisation in the firmware, or nested virtualisation on the hypervisor above',
    };
  if (refusal === 'EACCES' && !isRoot)
    return { state: 'ok', found: `CPU flag ${extension}; whether /dev/kvm opens only root can try` };
  if (refusal)
    return { state: 'warn', found: `${device}, CPU flag ${extension}: ${emulated}`, mend: mendOf(extension, refusal) };
  if (verdict?.accelerator === 'tcg' || verdict?.coldOnly)
    return {
      state: 'warn',
      found: `${device}, but ${verdict.reason}`,
      mend: 'see `dmesg` for what KVM says; the server tries again when it starts an hour later, or after `modprobe -r` and `modprobe` of the module',
    };
  if (verdict) return { state: 'ok', found: `${device}; ${verdict.reason}` };
  return {
    state: 'ok',
    found: `${device}, CPU flag ${extension}; the server boots a probe VM before it relies on them`,
  };
}

function mendOf(extension: string, refusal: string): string {
  const load = `modprobe ${extension === 'vmx' ? 'kvm_intel' : 'kvm_amd'}`;
  if (refusal === 'EPERM' || refusal === 'EACCES')
    return 'a container is given the device by its engine (--device /dev/kvm); then `./sampan down` and `./sampan up`';
  return `${load} (where it refuses, \`dmesg\` says why: often the firmware has virtualisation off), then \`./sampan down\` and \`./sampan up\``;
}
