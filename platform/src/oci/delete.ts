/** `delete`: the container, and its sandbox with the last container in it. */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { ContainerRecord } from './container-records.ts';
import type { OciContext } from './oci-context.ts';
import { parse, requests } from './oci-requests.ts';
import { statusOf } from './state.ts';

export async function deleteContainer(context: OciContext, params: unknown): Promise<object> {
  const { root, id, force } = parse(requests.delete, params);
  let record: ContainerRecord;
  try {
    record = context.records.find(root, id);
  } catch (error) {
    // As runc: what is not there is deleted already for whoever insists.
    if (force && isReason(error, 'NotFound')) return {};
    throw error;
  }
  await context.serial.run(record.key, async () => {
    const status = statusOf(context, record);
    if (!force && status !== 'stopped')
      throw new SampanError('FailedPrecondition', `cannot delete container ${id} that is not stopped: ${status}`);
    await context.serial.run(`sandbox ${record.sandboxId}`, () => forget(context, record));
  });
  return {};
}

/** Whatever there is of it goes, its record last. Idempotent. */
export async function forget(context: OciContext, record: ContainerRecord): Promise<void> {
  const { bundles, records } = context;
  const withSandbox = !records.all().some((one) => one.sandboxId === record.sandboxId && one.key !== record.key);
  await context.onStep('oci-delete-machine');
  try {
    await bundles.delete(record.key, { force: true, withSandbox });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    if (withSandbox) await bundles.deleteSandbox(record.sandboxId);
  }
  await context.onStep('oci-forget');
  await records.remove(record.key);
}
