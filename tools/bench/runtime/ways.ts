/** The ways to run one container that `bench runtime` compares, each in a laboratory of its own: Podman and containerd, with crun, runc and ours. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { CommandResult } from '../../../platform/test/integration/support/command.ts';
import { type ContainerdLab, image } from '../../../platform/test/integration/support/containerd-lab.ts';
import type { PodmanLab } from '../../../platform/test/integration/support/podman-lab.ts';

export interface Way {
  /** Of the form "podman, crun". */
  name: string;
  /** One `run --rm ... echo`. */
  run(): Promise<CommandResult>;
}

export const handlers = ['vm', 'namespace'] as const;
export const annotation = (handler: string): string => `sampan.dev/handler=${handler}`;

/** Limits that a machine without the power to raise them can set; a network is not what is compared. */
export const podmanFlags = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096'];

const words = 'first output';

/** How Podman is called so that Debian's crun works. */
export interface Crun extends Disposable {
  runtime: string;
  before: string[];
}

/**
 * crun of Debian 12 gives up where cgroup v2 has controllers beside v1. There Podman runs in a mount namespace that shows v1 alone, made once: a script
 * around crun would be paid for by crun at each call.
 */
export async function openCrun(): Promise<Crun> {
  const unified = '/sys/fs/cgroup/unified';
  if (!existsSync(`${unified}/cgroup.procs`)) return { runtime: 'crun', before: ['env'], [Symbol.dispose]: () => {} };
  const holder = spawn('unshare', ['--mount', 'sh', '-c', `umount ${unified} && echo ready && exec sleep infinity`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve).once('close', resolve));
  return {
    runtime: 'crun',
    before: ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`],
    [Symbol.dispose]: () => void holder.kill('SIGKILL'),
  };
}

/** The same number of programs stands before each podman. */
export function podmanWays(lab: PodmanLab, crun: Crun): Way[] {
  const run = (more: string[], options: { runtime?: string; before: string[] }) =>
    lab.podman(['run', '--rm', ...podmanFlags, ...more, image, 'echo', words], options);
  return [
    { name: 'podman, crun', run: () => run([], { runtime: crun.runtime, before: crun.before }) },
    ...handlers.map((handler) => ({
      name: `podman, sampan ${handler}`,
      run: () => run(['--annotation', annotation(handler)], { before: ['env'] }),
    })),
  ];
}

export function containerdWays(lab: ContainerdLab): Way[] {
  let count = 0;
  const name = () => `bench-${count++}`;
  return [
    { name: 'ctr, runc', run: () => lab.ctr(['run', '--rm', image, name(), 'echo', words]) },
    ...handlers.map((handler) => ({
      name: `ctr, sampan ${handler}`,
      run: () => lab.run(name(), ['echo', words], ['--rm', '--annotation', annotation(handler)]),
    })),
  ];
}

/** Those that work here; the others are named with what they said. */
export async function workingWays(ways: Way[], progress: (text: string) => void): Promise<Way[]> {
  const working: Way[] = [];
  for (const way of ways) {
    // Twice: the first start of a shape makes its template.
    const tried = [await way.run(), await way.run()];
    const bad = tried.find(({ code, stdout }) => code !== 0 || !stdout.includes(words));
    if (bad) progress(`${way.name} is left out: ${bad.stderr.trim().split('\n').at(-1)}`);
    else working.push(way);
  }
  return working;
}
