/** After a container ended: single files that it could write (its termination message, /etc/hosts) come back to the host, bounded. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf } from '@sampan/api/errors.ts';
import type { Agent } from '../agent/agent.ts';
import type { Container } from '../containers/container.ts';
import type { Context } from '../context.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { maxFileBytes, readBounded } from './volume-files.ts';

/** Best effort: a file that cannot be fetched is logged, the exit is told all the same. */
export async function writeBackFiles(
  context: Context,
  sandbox: Sandbox,
  container: Container,
  agent: Agent,
): Promise<void> {
  const writable = new Set(container.record.mounts.filter((mount) => !mount.readOnly).map((mount) => mount.volumeId));
  const files = sandbox.record.volumes.filter((volume) => volume.kind === 'file' && writable.has(volume.id));
  await Promise.all(
    files.map(async ({ id, hostPath }) => {
      try {
        await writeBack(hostPath, Buffer.from(await agent.readFile(id, maxFileBytes)));
      } catch (error) {
        context.log.warn({ sandboxId: sandbox.id, hostPath, error: messageOf(error) }, 'cannot bring a file back');
      }
    }),
  );
}

/** In place: the path may be a bind mount of somebody else's. Never through a link, and only when something changed. */
async function writeBack(hostPath: string, content: Buffer): Promise<void> {
  const before = await readBounded(hostPath, maxFileBytes);
  if (before.equals(content)) return;
  // A file that was not empty and now fills the bound is only its own tail: half a file is worse than the old one.
  if (before.length > 0 && content.length >= maxFileBytes) return;
  const file = await open(hostPath, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}
