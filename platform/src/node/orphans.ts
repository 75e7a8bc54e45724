/** Pods that the runtime or the disk knows of but the API does not: what a server before us was told to delete, or could not finish. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../runtime/generated/cri.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { annotation, label } from './labels.ts';
import { logsDirectory, podsDirectory } from './paths.ts';

export interface Orphan {
  pod: Pod;
  graceSeconds: number;
}

/** Pods of the runtime's sandboxes whose uid is not among `known`, as much of them as the sandbox remembers. */
export async function findOrphans(runtime: Runtime, known: (uid: string) => boolean): Promise<Orphan[]> {
  const { items = [] } = await runtime.listPodSandbox({});
  const orphans = new Map<string, Orphan>();
  for (const item of items) {
    const uid = item.labels?.[label.podUid];
    if (uid && !known(uid)) orphans.set(uid, orphanOf(item, uid));
  }
  return [...orphans.values()];
}

function orphanOf(item: cri.PodSandbox, uid: string): Orphan {
  const name = item.labels?.[label.podName];
  const namespace = item.labels?.[label.podNamespace];
  const grace = Number(item.annotations?.[annotation.grace]);
  return {
    pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, uid }, spec: { containers: [] } },
    graceSeconds: Number.isFinite(grace) ? grace : 30,
  };
}

const uidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Removes directories of Pods that are neither known nor in the runtime. Touches nothing that is not named like a Pod's. */
export async function removeOrphanedFiles(home: string, known: (uid: string) => boolean): Promise<string[]> {
  const removed: string[] = [];
  for (const directory of [podsDirectory(home), logsDirectory(home)]) {
    for (const entry of await readdir(directory).catch((): string[] => [])) {
      const uid = entry.split('_').at(-1) ?? '';
      if (!uidPattern.test(uid) || known(uid)) continue;
      await rm(join(directory, entry), { recursive: true, force: true });
      removed.push(join(directory, entry));
    }
  }
  return removed;
}
