/** The ways to run one container that `bench runtime` compares, each in a laboratory of its own: Podman and containerd, with crun, runc and ours. */
import { type ContainerdLab, image } from '../../../platform/test/integration/support/containerd-lab.ts';
import type { CommandResult } from '../../../platform/test/integration/support/instance.ts';
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

export function podmanWays(lab: PodmanLab, crun: string): Way[] {
  const run = (more: string[], options: { runtime?: string } = {}) =>
    lab.podman(['run', '--rm', ...podmanFlags, ...more, image, 'echo', words], options);
  return [
    { name: 'podman, crun', run: () => run([], { runtime: crun }) },
    ...handlers.map((handler) => ({
      name: `podman, sampan ${handler}`,
      run: () => run(['--annotation', annotation(handler)]),
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
