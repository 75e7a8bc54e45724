/** Names a template by everything that must be equal for a machine to be its clone. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { MachineShape } from '../vmm.ts';
import { qemuArguments } from './qemu-arguments.ts';
import type { QemuContext } from './qemu-context.ts';

export async function templateKey(context: QemuContext, shape: MachineShape): Promise<string> {
  const { guest, profile, qemuVersion, qemuPath } = context;
  const files = await Promise.all(
    [guest.kernelPath, guest.initrdPath, guest.rootfsPath, qemuPath].map(async (path) => {
      const { size, mtimeMs } = await stat(path);
      return [path, size, mtimeMs];
    }),
  );
  const args = qemuArguments({ profile, shape, start: 'template', filledSlots: [] });
  const parts = JSON.stringify([qemuVersion, guest.version, files, args]);
  return createHash('sha256').update(parts).digest('hex').slice(0, 24);
}
