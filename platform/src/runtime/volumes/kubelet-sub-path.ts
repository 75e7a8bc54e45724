/**
 * A mount's subPath as kubelet hands it over: <root>/pods/<uid>/volume-subpaths/<volume>/<container>/<index>, where it has bind-mounted the part of the
 * volume (pkg/volume/util/subpath). What a volume's content is in the guest is not on the host: such a path is led back to the volume and the path in it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

export interface MountPoint {
  /** major:minor of the file system. */
  device: string;
  /** What of the file system is mounted. */
  root: string;
  place: string;
}

/** proc(5) /proc/PID/mountinfo. */
export function readMountInfo(text: string): MountPoint[] {
  const plain = (word: string) => word.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8)));
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter((words) => words.length > 6)
    .map(([, , device = '', root = '', place = '']) => ({ device, root: plain(root), place: plain(place) }));
}

/** Where in `volume` (a directory) the mount point `part` comes from; undefined: from somewhere else. Pure. */
export function pathInVolume(mounts: readonly MountPoint[], part: string, volume: string): string | undefined {
  const here = mounts.findLast(({ place }) => place === part);
  const under = mounts
    .filter(({ place }) => isAtOrBelow(volume, place))
    .reduce<MountPoint | undefined>(
      (best, one) => (best && best.place.length > one.place.length ? best : one),
      undefined,
    );
  if (!here || !under || here.device !== under.device) return undefined;
  const root = posix.join(under.root, posix.relative(under.place, volume));
  if (!isAtOrBelow(here.root, root)) return undefined;
  // Files of a ConfigMap are found through links into a directory of their version, as the guest has them too, under another name.
  return posix.relative(root, here.root).replace(/^\.\.[^/]+\//, '');
}

const isAtOrBelow = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);

/** The path to mount in place of `hostPath`; that one itself where it is none of kubelet's subPaths, or one of a directory of the host. */
export async function resolveSubPath(hostPath: string, podUid: string): Promise<string> {
  const match = new RegExp(`^(.*/pods/${podUid})/volume-subpaths/([^/]+)/[^/]+/\\d+$`).exec(hostPath);
  if (!match) return hostPath;
  const [, pod = '', name = ''] = match;
  const mounts = readMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  for (const plugin of await readdir(join(pod, 'volumes')).catch((): string[] => [])) {
    const volume = join(pod, 'volumes', plugin, name);
    const inside = pathInVolume(mounts, hostPath, volume);
    if (inside !== undefined) return join(volume, inside);
  }
  return hostPath;
}
