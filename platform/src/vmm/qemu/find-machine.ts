/** Finds a machine of an earlier server by its directory. */
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { isAlive, killAndWait, readProcessFile } from '../vmm-process.ts';
import { socketNames } from './launcher-arguments.ts';
import { readMachineRecord } from './machine-record.ts';
import type { QemuContext } from './qemu-context.ts';
import { QemuMachine } from './qemu-machine.ts';
import { QmpClient, statusOf } from './qmp.ts';

/**
 * Undefined when there is no machine, or its VMM is dead, or it was never finished (its VMM is killed then). A machine whose guest went
 * down while no server was there is found, and its `exited` tells at once.
 */
export async function findMachine(context: QemuContext, directory: string): Promise<QemuMachine | undefined> {
  const [record, process] = await Promise.all([readMachineRecord(directory), readProcessFile(directory, 'pid')]);
  if (!process || !(await isAlive(process))) return undefined;
  if (record?.state !== 'running') {
    await killAndWait(process, context.clock);
    return undefined;
  }
  let qmp: QmpClient | undefined;
  let machine: QemuMachine | undefined;
  try {
    qmp = await QmpClient.connect(join(directory, socketNames.monitor), context.clock);
    machine = new QemuMachine(context, { directory, record, process, qmp });
    machine.takeUp(await statusOf(qmp));
    return machine;
  } catch (error) {
    // We have ended it ourselves, for want of what it cannot be without: a server of its files. It says so.
    if (machine?.gone) return machine;
    context.log.warn({ machine: record.id, error: messageOf(error) }, 'a VMM that does not answer is given up');
    qmp?.close();
    await killAndWait(process, context.clock);
    return undefined;
  }
}
