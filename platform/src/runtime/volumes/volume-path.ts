/**
 * From a CRI mount's hostPath to the volume it means. Pure.
 *
 * kubelet's layout: <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>[/<sub path>], <root>/pods/<uid>/etc-hosts and
 * <root>/pods/<uid>/containers/<container>/<file>, with the uid of the sandbox's own Pod. What is anywhere else, and a volume of another plugin (CSI, NFS,
 * local...), which the node has mounted there, is shared with the machine as it is. `/./` in such a path parts the volume from a sub path that the guest
 * is to resolve inside it: links in a volume are its users' own work, and the host follows none of them.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { ShareMount } from '../../vmm/vmm.ts';
import type * as cri from '../generated/cri.ts';
import { unsupported } from '../spec/refuse.ts';

export interface VolumePath {
  /** 'host': any directory or file of the host, shared with the machine (virtiofs). */
  kind: 'files' | 'empty-dir' | 'file' | 'host';
  /** Stable over restarts: derived from the path. */
  id: string;
  /** Root of the volume on the host, or the file. */
  hostPath: string;
  /** The volume's name in the Pod; empty for a single file. */
  name: string;
  subPath?: string;
  /** 'host' only: what the machine may do with it, and what of mounts below it either side sees. */
  host?: Pick<ShareMount, 'readOnly' | 'recursive' | 'propagation'>;
}

const filePlugins = new Set(['configmap', 'secret', 'projected', 'downward-api']);

/** Throws Unsupported naming what is mounted and why it cannot be. */
export function volumePath(mount: cri.Mount, podUid: string): VolumePath {
  const hostPath = mount.hostPath ?? '';
  checkMount(mount);
  const marker = `/pods/${podUid}/`;
  const at = hostPath.indexOf(marker);
  if (at < 0) return hostVolume(mount);
  const root = hostPath.slice(0, at + marker.length);
  const rest = hostPath.slice(root.length).split('/');
  if (rest[0] === 'volumes') return pluginVolume(mount, root, rest);
  // Of a directory of the host: kubelet has found it without following links out of it, and mounted it there (kubelet-sub-path.ts).
  if (rest[0] === 'volume-subpaths' && rest.length === 4) return hostVolume(mount);
  const single = (rest[0] === 'etc-hosts' && rest.length === 1) || (rest[0] === 'containers' && rest.length === 3);
  if (!single) throw unsupported(`mount of ${hostPath} at ${mount.containerPath}`, 'it is not in a volume of the Pod');
  return { kind: 'file', id: volumeId(hostPath), hostPath, name: '' };
}

function pluginVolume(mount: cri.Mount, root: string, [, directory = '', name = '', ...sub]: string[]): VolumePath {
  const plugin = directory.replace(/^kubernetes\.io~/, '');
  const hostPath = `${root}volumes/${directory}/${name}`;
  const kind = filePlugins.has(plugin) ? 'files' : plugin === 'empty-dir' ? 'empty-dir' : undefined;
  if (plugin === directory || !name)
    throw unsupported(`mount of ${mount.hostPath} at ${mount.containerPath}`, 'it is not in a volume of the Pod');
  if (!kind) return hostVolume(mount);
  const subPath = sub.filter(Boolean).join('/');
  return { kind, id: volumeId(hostPath), hostPath, name, ...(subPath ? { subPath } : {}) };
}

/** CRI's MountPropagation. */
const propagations: Record<number, ShareMount['propagation']> = { 0: 'private', 1: 'slave', 2: 'shared' };

/** One for each way of mounting it. */
function hostVolume(mount: cri.Mount): VolumePath {
  const { readonly: readOnly = false, recursiveReadOnly: recursive = false } = mount;
  const [volume = '', ...below] = (mount.hostPath ?? '').split('/./');
  const [hostPath, subPath] = [volume || '/', below.join('/')];
  const propagation = propagations[mount.propagation ?? 0] ?? 'private';
  const id = volumeId(`${hostPath}\n${recursive ? 'recursive' : readOnly}\n${propagation}`);
  const host = { readOnly, ...(recursive ? { recursive } : {}), propagation };
  return { kind: 'host', id, hostPath, name: '', ...(subPath ? { subPath } : {}), host };
}

const volumeId = (hostPath: string) => `v${createHash('sha256').update(hostPath).digest('hex').slice(0, 20)}`;

function checkMount(mount: cri.Mount): void {
  const { hostPath = '', containerPath = '' } = mount;
  if (mount.image) throw unsupported(`image volume at ${containerPath}`, 'images cannot be mounted as volumes');
  if (mount.uidMappings?.length || mount.gidMappings?.length)
    throw unsupported(`mount at ${containerPath}: uidMappings`, 'ids are the same on both sides');
  if (mount.mountOptions?.length) throw unsupported(`mount at ${containerPath}: mountOptions`, 'volumes have none');
  if (mount.recursiveReadOnly && !mount.readonly)
    throw new SampanError('Invalid', `mount at ${containerPath}: recursiveReadOnly wants readonly`);
  if (mount.recursiveReadOnly && mount.propagation)
    throw new SampanError('Invalid', `mount at ${containerPath}: recursiveReadOnly wants private propagation`);
  if (containerPath === '/')
    throw new SampanError('Invalid', `mount of "${hostPath}" at "/": a container's root is its image's`);
  for (const path of [hostPath.replace('/./', '/'), containerPath])
    if (
      !path.startsWith('/') ||
      posix.normalize(path).replace(/\/$/, '') !== path.replace(/\/$/, '') ||
      path.length > 4096
    )
      throw new SampanError(
        'Invalid',
        `mount of "${hostPath}" at "${containerPath}": both must be absolute, without "..", and at most 4096 characters`,
      );
}
