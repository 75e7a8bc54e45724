/**
 * /dev/shm of a size that an engine's user chose (Podman's --shm-size): the engine makes it on the host and binds it into each container that shares it, and what is
 * bound there stays on the host. The machine makes one of the same size for all of its containers; of the usual size it has one already.
 */
import { statfs } from 'node:fs/promises';
import type { GuestVolume } from '../agent/agent.ts';
import type { OciConfig } from './oci-config.ts';

const usualBytes = 64 * 1024 * 1024;
/** statfs(2) */
const tmpfsMagic = 0x01021994;

/** Undefined: the usual one will do. */
export async function shmVolume({ mounts }: OciConfig): Promise<GuestVolume | undefined> {
  const mount = mounts?.findLast(({ destination }) => destination === '/dev/shm');
  if (!mount?.source?.startsWith('/')) return undefined;
  const { type, bsize, blocks } = await statfs(mount.source).catch(() => ({ type: 0, bsize: 0, blocks: 0 }));
  const sizeBytes = bsize * blocks;
  if (type !== tmpfsMagic || sizeBytes === 0 || sizeBytes === usualBytes) return undefined;
  return { id: 'shm', kind: 'tmpfs', sizeBytes, mode: 0o1777 };
}
