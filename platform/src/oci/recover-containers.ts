/**
 * What a service before this one left: running containers whose holder died meanwhile are killed; what was half made, or made for a caller that
 * was told of a failure because the service died, is taken back.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { forget } from './delete.ts';
import { adoptExecs } from './exec.ts';
import { isAlive, killQuietly } from './held-process.ts';
import type { OciContext } from './oci-context.ts';
import { isFirstIn } from './placement.ts';
import { statusOf } from './state.ts';

/** Holders come back within a second; one that died before it did is found by a second look. */
const secondLookMs = 3_000;

export async function recoverContainers(context: OciContext): Promise<void> {
  for (const record of context.records.all())
    if (statusOf(context, record) === 'creating') await forget(context, record);
  await dropUnheld(context);
  const known = new Set(context.records.all().map(({ sandboxId }) => sandboxId));
  for (const { id } of context.bundles.listSandboxes())
    if (id.startsWith('oci-') && !known.has(id)) await context.bundles.deleteSandbox(id);
  for (const { key, sandboxId, holder } of context.records.all())
    if (isFirstIn(sandboxId, key) && (await isAlive(holder))) void context.bundles.countBeside(sandboxId, holder.pid);
  await adoptExecs(context);
  void lookAgain(context);
}

async function lookAgain(context: OciContext): Promise<void> {
  try {
    await context.clock.sleep(secondLookMs, context.closing.signal);
    await dropUnheld(context);
  } catch (error) {
    if (!context.closing.signal.aborted)
      context.log.error({ error: messageOf(error) }, 'containers without a holder could not be looked for');
  }
}

async function dropUnheld(context: OciContext): Promise<void> {
  for (const record of context.records.all()) {
    if (await isAlive(record.holder)) continue;
    await context.serial.run(record.key, async () => {
      if (!context.records.all().includes(record)) return;
      const status = statusOf(context, record);
      if (status === 'created') await forget(context, record);
      else if (status === 'running' || status === 'paused') await killQuietly(context, { containerId: record.key });
    });
  }
}
