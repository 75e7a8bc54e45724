/**
 * Everything that differs between hardware virtualisation (KVM) and emulation (TCG), and nothing else.
 * Which of the two is used is kvm-probe.ts's matter.
 */
export type Accelerator = 'kvm' | 'tcg';

export interface AccelerationProfile {
  accelerator: Accelerator;
  /** QEMU's -accel. */
  accelerationOption: string;
  /** QEMU's -cpu. */
  cpu: string;
  /** Added to the kernel command line. */
  kernelParameters(host: { tscKhz?: number }): string[];
  /** Device nodes the VMM needs. */
  deviceNodes: string[];
  /** Huge pages for a machine with memory of its own (cold). Emulated memory accesses gain too little to pay for them. */
  hugePages: boolean;
  /** Host memory beside the guest's that the VMM of so large a guest may need, MiB: bounds its cgroup. */
  overheadMib(memoryMib: number): number;
}

export const accelerationProfiles: Record<Accelerator, AccelerationProfile> = {
  kvm: {
    accelerator: 'kvm',
    // Interrupt controllers in QEMU, the CPU's own in the kernel: with all of them in the kernel, nothing ends the interrupts of the second I/O APIC.
    accelerationOption: 'kvm,kernel-irqchip=split',
    // What of the host's CPU a Pod has no use for stays out of its guest's reach, and of the state that clones read: virtual machines of its own, the
    // counters of performance. (invtsc, which could not be saved, is no part of `host`.)
    cpu: 'host,vmx=off,svm=off,pmu=off',
    // Time is kvmclock's. A clone's counter and its kvmclock were saved milliseconds apart: whoever watched one by the other would give the counter up,
    // and would wake an idle guest twice a second.
    kernelParameters: () => ['tsc=nowatchdog'],
    deviceNodes: ['/dev/kvm'],
    hugePages: true,
    // And 8 bytes for each 4 KiB three times over: the VMM's page tables, the guest's (EPT, NPT), and what leads from a page back to those (before Linux 5.14).
    overheadMib: (memoryMib) => 128 + Math.ceil((3 * memoryMib) / 512),
  },
  tcg: {
    accelerator: 'tcg',
    // A Pod's start leaves 31 MiB of translated code, a rehearsal and a start together 39. When the buffer is full, all of it is thrown away and
    // translated again: 32 MiB would make the rehearsal useless, 16 a plain start 1.7 times slower.
    accelerationOption: 'tcg,thread=multi,tb-size=48',
    // A small model: guests use the features of a big one (AVX), and TCG has to emulate them. With what x86-64-v2 asks for, because images
    // are built for it. arat keeps the timer of the idle CPU alive; without it the kernel ticks 250 times a second for ever.
    cpu: 'qemu64,+arat,+ssse3,+sse4.1,+sse4.2,+popcnt',
    // The guest sees the host's counter, which cannot drift between vCPUs: the kernel need not watch over it. Its rate has to be told: on a
    // busy host calibration against an emulated PIT fails, and the kernel then waits for ever for a timer interrupt that microvm has not wired.
    kernelParameters: ({ tscKhz }) => ['tsc=reliable', ...(tscKhz ? [`tsc_early_khz=${tscKhz}`] : [])],
    deviceNodes: [],
    hugePages: false,
    overheadMib: () => 256,
  },
};
