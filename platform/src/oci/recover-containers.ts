/** What a service before this one left: containers whose holder died meanwhile are killed, what was half made is taken back. */

import { forget } from './delete.ts';
import { isAlive, killQuietly } from './held-process.ts';
import type { OciContext } from './oci-context.ts';
import { statusOf } from './state.ts';

export async function recoverContainers(context: OciContext): Promise<void> {
  for (const record of context.records.all()) {
    const status = statusOf(context, record);
    if (status === 'creating') await forget(context, record);
    else if (status !== 'stopped' && !(await isAlive(record.holder)))
      await killQuietly(context, { containerId: record.key });
  }
  const known = new Set(context.records.all().map(({ sandboxId }) => sandboxId));
  for (const { id } of context.bundles.listSandboxes())
    if (id.startsWith('oci-') && !known.has(id)) await context.bundles.deleteSandbox(id);
}
