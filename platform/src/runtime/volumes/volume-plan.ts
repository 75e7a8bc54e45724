/** Which guest volumes a container's mounts need, and where they go. Reads the host's directories for modes; writes nothing. */
import { lstat, statfs } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { ShareMount } from '../../vmm/vmm.ts';
import type { GuestMount, GuestVolume } from '../agent/agent.ts';
import { runtimeAnnotation } from '../annotations.ts';
import type * as cri from '../generated/cri.ts';
import { unsupported } from '../spec/refuse.ts';
import { resolveSubPath } from './kubelet-sub-path.ts';
import { type VolumePath, volumePath } from './volume-path.ts';

/** The share that a machine with host mounts has. */
export const hostTag = 'host';

export interface PlannedVolume {
  volume: GuestVolume;
  hostPath: string;
  /** Of a directory or file of the host: how it is put into the machine's share. */
  shareMount?: ShareMount;
}

export interface VolumePlan {
  mounts: GuestMount[];
  volumes: PlannedVolume[];
}

export interface PlanInput {
  mounts: cri.Mount[];
  podUid: string;
  /** The sandbox's. */
  annotations: Record<string, string>;
  podMemoryBytes: number;
  handler: 'vm' | 'namespace';
}

/** Throws Unsupported, Invalid or NotFound naming the mount. */
export async function planVolumes(input: PlanInput): Promise<VolumePlan> {
  const mounts: GuestMount[] = [];
  const volumes = new Map<string, PlannedVolume>();
  for (const mount of input.mounts) {
    const hostPath = await resolveSubPath(mount.hostPath ?? '', input.podUid);
    const path = volumePath({ ...mount, hostPath }, input.podUid);
    const bidirectional = mount.propagation === 2;
    if (bidirectional) checkBidirectional(mount, path, input);
    if (!volumes.has(path.id)) volumes.set(path.id, await plannedVolume(path, input));
    const recursive = mount.recursiveReadOnly ?? false;
    // What a VM sees of the host is one tree: read-only for the guest would be all of it. The host keeps the mount itself read-only.
    const isHostsToKeep = path.kind === 'host' && input.handler === 'vm' && !recursive;
    mounts.push({
      volumeId: path.id,
      containerPath: mount.containerPath!,
      readOnly: isHostsToKeep ? false : (mount.readonly ?? false),
      ...(recursive ? { recursive } : {}),
      ...(bidirectional ? { bidirectional } : {}),
      ...(path.subPath ? { subPath: path.subPath } : {}),
    });
  }
  return { mounts, volumes: [...volumes.values()] };
}

/** Throws Unsupported. */
function checkBidirectional({ containerPath }: cri.Mount, { kind }: VolumePath, { handler }: PlanInput): void {
  const refuse = (why: string) => {
    throw unsupported(`mount at ${containerPath}: Bidirectional propagation`, why);
  };
  if (handler === 'vm') refuse("a VM's mounts stay in the VM: its kernel is not the host's");
  if (kind !== 'host') refuse('it is no directory of the host');
}

async function plannedVolume(path: VolumePath, input: PlanInput): Promise<PlannedVolume> {
  const { id, hostPath, kind } = path;
  if (kind !== 'host') return { volume: await guestVolume(path, kind, input), hostPath };
  return {
    volume: { id, kind: 'share', tag: hostTag, subPath: id },
    hostPath,
    shareMount: { tag: hostTag, name: id, hostPath, ...path.host! },
  };
}

async function guestVolume(
  path: VolumePath,
  kind: Exclude<VolumePath['kind'], 'host'>,
  input: PlanInput,
): Promise<GuestVolume> {
  if (kind !== 'empty-dir') return { id: path.id, kind };
  const { medium, sizeLimitBytes } =
    emptyDirOptions(input.annotations, path.name) ?? (await asKubeletMade(path.hostPath));
  // kubelet makes the directory with the mode and (fsGroup) group that the Pod should see.
  const made = await lstat(path.hostPath).catch(() => undefined);
  const owner = made ? { mode: made.mode & 0o7777, uid: made.uid, gid: made.gid } : { mode: 0o777, uid: 0, gid: 0 };
  if (medium === 'Memory') {
    const sizeBytes = Math.min(sizeLimitBytes ?? input.podMemoryBytes, input.podMemoryBytes);
    return { id: path.id, kind: 'tmpfs', sizeBytes, ...owner };
  }
  return { id: path.id, kind: 'disk', ...(sizeLimitBytes ? { sizeBytes: sizeLimitBytes } : {}), ...owner };
}

const emptyDir = z.object({
  medium: z.enum(['', 'Memory']).default(''),
  sizeLimitBytes: z.number().int().positive().optional(),
});
type EmptyDir = z.infer<typeof emptyDir>;

/** Throws Invalid naming the annotation. */
function emptyDirOptions(annotations: Record<string, string>, name: string): EmptyDir | undefined {
  const key = runtimeAnnotation.volume + name;
  const text = annotations[key];
  if (text === undefined) return undefined;
  try {
    return emptyDir.parse(JSON.parse(text));
  } catch (error) {
    throw new SampanError(
      'Invalid',
      `annotation ${key} is ${text.slice(0, 200)}; wanted {"medium": ""|"Memory", "sizeLimitBytes": n}`,
      {},
      { cause: error },
    );
  }
}

const tmpfsMagic = 0x01021994;

/** A kubelet that does not annotate has mounted a tmpfs there when the medium is Memory. */
async function asKubeletMade(hostPath: string): Promise<EmptyDir> {
  const there = await statfs(hostPath).catch(() => undefined);
  const above = await statfs(`${hostPath}/../..`).catch(() => undefined);
  const mounted = there?.type === tmpfsMagic && above?.type !== tmpfsMagic;
  return { medium: mounted ? 'Memory' : '' };
}
