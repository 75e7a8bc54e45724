/** Bind mounts that a container on the host shares with it both ways: what either mounts there the other sees (mount_namespaces(7)). */
import { readFile, realpath } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { LiveSandbox } from './bundle-context.ts';
import { isShared, type SharedMount } from './guest-mounts.ts';
import type { OciConfig } from './oci-config.ts';
import { shareTag } from './sandbox-life.ts';

/** Goes with the machine. Idempotent. Throws FailedPrecondition in containerd's words where the host's mount is not shared, NotFound. */
export async function shareWithHost({ record, machine }: LiveSandbox, mount: SharedMount): Promise<void> {
  const { name, source, access } = mount;
  if (!machine?.mountInShare || record.state !== 'ready')
    throw new SampanError('FailedPrecondition', `sandbox ${record.id} is ${record.state}, wanted ready`);
  const hostPath = await realpath(source).catch((error: NodeJS.ErrnoException) => {
    throw new SampanError('NotFound', `config.json: mounts: ${source}: ${error.code}`);
  });
  const { place, isShared } = mountOf(hostPath, await readFile('/proc/self/mountinfo', 'utf8'));
  if (!isShared)
    throw new SampanError(
      'FailedPrecondition',
      `path "${source}" is mounted on "${place}" but it is not a shared mount: mount --make-shared "${place}"`,
    );
  const readOnly = access !== 'rw';
  const asked = { tag: shareTag, name, hostPath, readOnly, propagation: 'shared' } as const;
  await machine.mountInShare({ ...asked, ...(access === 'rr' ? { recursive: true } : {}) });
}

/** Which sources of shared mounts the host shares, for guestConfig(). What is not there is for whoever mounts it to say. */
export async function sharedByHost({ mounts }: OciConfig): Promise<(source: string) => boolean> {
  const sources = (mounts ?? []).filter(isShared).map(({ source = '' }) => source);
  if (sources.length === 0) return () => true;
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const lonely = new Set<string>();
  for (const source of sources) {
    const path = await realpath(source).catch(() => undefined);
    if (path && !mountOf(path, mountinfo).isShared) lonely.add(source);
  }
  return (source) => !lonely.has(source);
}

/** The mount that a path is in, and whether it tells others: proc_pid_mountinfo(5), fields 5 and 7. Pure. */
export function mountOf(path: string, mountinfo: string): { place: string; isShared: boolean } {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const place = fields[4]?.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    const holds = place === '/' || path === place || path.startsWith(`${place}/`);
    const tags = fields.slice(6, fields.indexOf('-'));
    return place && holds ? [{ place, isShared: tags.some((tag) => tag.startsWith('shared:')) }] : [];
  });
  // Of those over one another in one place the last is on top.
  return mounts.reduce((deepest, each) => (each.place.length >= deepest.place.length ? each : deepest), {
    place: '',
    isShared: false,
  });
}
