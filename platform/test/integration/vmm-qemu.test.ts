/** The QEMU driver on real machines: the suite of vmm.ts. What is QEMU's own stands in vmm-qemu-machine.test.ts. */
import { after, test } from 'node:test';
import type { Machine } from '../../src/vmm/vmm.ts';
import { type VmmUnderTest, vmmSuite } from '../../src/vmm/vmm-suite.ts';
import { missingVmmParts, shellNoAnswer, VmmLab } from './support/vmm-lab.ts';

const missing = missingVmmParts();

if (missing) {
  test('the QEMU driver passes the VMM suite', (t) => t.skip(missing));
} else {
  const lab = await VmmLab.make();
  after(() => lab[Symbol.asyncDispose]());

  const make = async (): Promise<VmmUnderTest> => {
    const vmm = await lab.vmm();
    return {
      vmm,
      restarted: async () => {
        await lab.close(vmm);
        return lab.vmm();
      },
      directory: lab.directory,
      disk: (slot, mib) => lab.disk(slot, mib),
      halt: (machine) => shellNoAnswer(machine, 'poweroff -f'),
      panic: (machine) => shellNoAnswer(machine, 'echo c > /proc/sysrq-trigger'),
      kill: async (machine: Machine) => {
        const { readFile } = await import('node:fs/promises');
        const [pid] = (await readFile(`${machine.directory}/pid`, 'utf8')).split(' ');
        process.kill(Number(pid), 'SIGKILL');
      },
      dispose: () => lab.reset(),
    };
  };
  vmmSuite('qemu', { make, timeoutMs: 120_000 });
}
