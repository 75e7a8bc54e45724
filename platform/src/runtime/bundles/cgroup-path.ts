/**
 * Where a bundle's linux.cgroupsPath, or a Pod's cgroup_parent, puts a machine (decision 0037). Pure.
 *
 *   /a/b               made, with the machine beneath it, and removed with the machine; a relative path is taken from the root, as crun does.
 *                      Of a container that is alone in a machine on the host it is that container's group itself
 *   a-b.slice:x:name   beneath the slice /a.slice/a-b.slice where that is, which is systemd's to make; else in the instance's own group
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, SandboxHandler } from './bundle-runtime.ts';
import type { OciConfig } from './oci-config.ts';

type Place = NonNullable<CreateBundleSandbox['cgroup']>;

const mostBytes = 1024;

export interface BundleCgroup {
  cgroupsPath: string | undefined;
  handler: SandboxHandler;
  /** What the engine in front writes for a container whose user names no place. */
  usual: readonly string[];
  /** It is a Pod's, for other containers to come into. */
  isPods?: boolean;
}

/** Of a bundle. Undefined: it names none that is followed. Throws Invalid naming the field. */
export function bundleCgroup({ cgroupsPath, handler, usual, isPods = false }: BundleCgroup): Place | undefined {
  // A machine that is kept ready on the host cannot be moved: that it is there at once is worth more than a place that nobody asked for.
  const isUsual = usual.includes(cgroupsPath ?? '');
  if (handler === 'namespace' && isUsual) return undefined;
  const slice = /^([^/:]*):[^/:]*:[^/:]*$/.exec(cgroupsPath ?? '')?.[1];
  const place = slice === undefined ? placeOf(cgroupsPath, 'linux.cgroupsPath', true) : podCgroup(slice);
  const isContainers = handler === 'namespace' && !isPods && place?.isOwn === true;
  return place && { ...place, ...(isUsual ? { isUsual } : {}), ...(isContainers ? { isContainers } : {}) };
}

/** The group that is this container's own among those of the host; undefined: it has one in its machine. */
export function containerCgroup({ linux }: OciConfig, place: Place | undefined): string | undefined {
  if (!place?.isContainers || !linux?.cgroupsPath) return undefined;
  return placeOf(linux.cgroupsPath, 'linux.cgroupsPath', true)?.path === place.path ? place.path : undefined;
}

/** Of a Pod: what is beneath it is the machine's, it itself is not. */
export function podCgroup(parent: string | undefined): Place | undefined {
  const last = parent?.split('/').findLast(Boolean) ?? '';
  const path = last.endsWith('.slice') ? sliceLevels(last).join('/') : parent;
  return placeOf(path, 'cgroup_parent', false);
}

function placeOf(given: string | undefined, field: string, isOwn: boolean): Place | undefined {
  const levels = (given ?? '').split('/').filter(Boolean);
  if (levels.length === 0) return undefined;
  const isPath = (level: string) => /^(?!\.{1,2}$)[!-~]{1,255}$/.test(level);
  if (given!.length > mostBytes || !levels.every(isPath))
    throw new SampanError('Invalid', `${field} "${given!.slice(0, 200)}" is no path of a control group`);
  return { path: `/${levels.join('/')}`, isOwn };
}

/** systemd.slice(5): a-b.slice is in a.slice. */
function sliceLevels(slice: string): string[] {
  const parts = slice.slice(0, -'.slice'.length).split('-').filter(Boolean);
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`);
}
