/** A container's mounts: its volumeMounts, /etc/hosts, and the file its last words go to. */
import { isAbsolute, join, normalize } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Container, Pod, VolumeMount } from 'kubernetes-types/core/v1.js';
import type * as cri from '../../runtime/generated/cri.ts';
import { MountPropagation } from '../../runtime/generated/cri.ts';
import { hostPathOf } from '../../volumes/host-path.ts';
import { kindOf, volumePath } from '../../volumes/paths.ts';
import type { PodPaths } from '../paths.ts';
import { expand } from './expand.ts';

export interface MountInput {
  pod: Pod;
  container: Pick<Container, 'name' | 'volumeMounts' | 'terminationMessagePath'>;
  paths: PodPaths;
  attempt: number;
  env: ReadonlyMap<string, string>;
}

const hostsPath = '/etc/hosts';

/** Throws Invalid with kubelet's words when a mount cannot be made of what the Pod has. */
export function containerMounts(input: MountInput): cri.Mount[] {
  const mounts = (input.container.volumeMounts ?? []).map((mount) => volumeMount(input, mount));
  if (!mounts.some((mount) => mount.containerPath === hostsPath))
    mounts.push({ containerPath: hostsPath, hostPath: input.paths.hostsFile, readonly: false });
  const { terminationMessagePath } = input.container;
  if (terminationMessagePath)
    mounts.push({
      containerPath: terminationMessagePath,
      hostPath: input.paths.terminationLog(input.container.name, input.attempt),
      readonly: false,
    });
  return mounts;
}

function volumeMount({ pod, container, paths, env }: MountInput, mount: VolumeMount): cri.Mount {
  const volume = pod.spec?.volumes?.find((one) => one.name === mount.name);
  const kind = volume && kindOf(volume);
  if (!volume || !kind)
    throw new SampanError('Invalid', `cannot find volume "${mount.name}" to mount into container "${container.name}"`);
  const subPath = subPathOf(mount, env);
  const propagation = mount.mountPropagation ?? 'None';
  return {
    containerPath: isAbsolute(mount.mountPath) ? mount.mountPath : join('/', mount.mountPath),
    hostPath: volume.hostPath
      ? sharedPath(hostPathOf(volume.hostPath), normalize(subPath))
      : join(volumePath(paths.directory, kind, volume.name), subPath),
    readonly: mount.readOnly === true,
    ...(isRecursive(mount) ? { recursiveReadOnly: true } : {}),
    propagation: propagations[propagation as keyof typeof propagations] ?? MountPropagation.PROPAGATION_PRIVATE,
  };
}

/** volumeMounts[].recursiveReadOnly (Kubernetes 1.30), which the types do not name yet; every handler serves it. */
const isRecursive = (mount: VolumeMount): boolean =>
  ['Enabled', 'IfPossible'].includes((mount as { recursiveReadOnly?: string }).recursiveReadOnly ?? '');

/** The runtime resolves what is behind `/./` inside the volume: a link that somebody put there leads nowhere else (runtime/volumes/volume-path.ts). */
const sharedPath = (volume: string, subPath: string): string =>
  subPath === '.' ? volume : `${volume === '/' ? '' : volume}/./${subPath.replace(/\/$/, '')}`;

const propagations = {
  None: MountPropagation.PROPAGATION_PRIVATE,
  HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
};

function subPathOf(mount: VolumeMount, env: ReadonlyMap<string, string>): string {
  const subPath = mount.subPathExpr ? expandAll(mount.subPathExpr, env) : (mount.subPath ?? '');
  if (isAbsolute(subPath)) throw new SampanError('Invalid', `error SubPath "${subPath}" must not be an absolute path`);
  if (normalize(subPath).split('/').includes('..'))
    throw new SampanError('Invalid', `unable to provision SubPath "${subPath}": must not contain '..'`);
  return subPath;
}

function expandAll(text: string, env: ReadonlyMap<string, string>): string {
  return expand(text, (name) => {
    const value = env.get(name);
    if (value === undefined) throw new SampanError('Invalid', `missing value for "${name}"`);
    return value;
  });
}
