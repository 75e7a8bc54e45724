/** Network namespaces for hooks, and processes that stand in them where a virtual machine's own are out of reach. Owns neither: its callers own paths and processes. */
import { SampanError } from '@sampan/api/errors.ts';
import { LineChild } from '../../base/line-child.ts';
import { checkNetnsPath, makeNetns, removeNetns } from '../../network/netns.ts';

/** What makes namespaces and stands in them: processes on the host, plain notes in tests. */
export interface HookNamespaces {
  /** Idempotent, as is `remove`. */
  make(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  standIn(path: string): Promise<StandIn>;
}

export interface StandIn {
  pid: number;
  close(): void;
}

export const hostHookNamespaces: HookNamespaces = {
  make: makeNetns,
  remove: removeNetns,
  async standIn(path) {
    checkNetnsPath(path);
    // What a hook does to its mounts, name or queues is done to nobody else. It ends with us: cat meets the end of its input.
    const child = new LineChild('nsenter', [`--net=${path}`, 'unshare', '--mount', '--uts', '--ipc', 'cat']);
    await child.ask('ok');
    const { pid } = child;
    if (pid === undefined) throw new SampanError('InternalError', `nobody stays in ${path}`);
    return { pid, close: () => child.close() };
  },
};
