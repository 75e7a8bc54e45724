/** Where a Pod's things lie on the node, in kubelet's layout. */
import { join } from 'node:path';
import type { Pod } from 'kubernetes-types/core/v1.js';

export interface PodPaths {
  /** Volumes, hosts file, termination logs. */
  directory: string;
  hostsFile: string;
  /** Logs of all runs of all containers. */
  logDirectory: string;
  /** Not the Pod's own: the node's profiles. */
  seccompDirectory: string;
  /** The file behind a container's terminationMessagePath. */
  terminationLog(container: string, attempt: number): string;
}

/** Relative to the log directory: what CRI calls logPath. */
export const logPathOf = (container: string, attempt: number): string => join(container, `${attempt}.log`);

export const podsDirectory = (home: string): string => join(home, 'pods');
/** Profiles that Pods may name (localhostProfile), as below kubelet's root. */
export const seccompDirectory = (home: string): string => join(home, 'seccomp');
export const logsDirectory = (home: string): string => join(home, 'pod-logs');

export function pathsOf(home: string, pod: Pod): PodPaths {
  const { name, namespace, uid } = pod.metadata ?? {};
  const directory = join(podsDirectory(home), uid ?? '');
  return {
    directory,
    hostsFile: join(directory, 'etc-hosts'),
    logDirectory: join(logsDirectory(home), `${namespace}_${name}_${uid}`),
    seccompDirectory: seccompDirectory(home),
    terminationLog: (container, attempt) => join(directory, 'containers', container, `termination-log-${attempt}`),
  };
}
