/** What a container costs once it runs: entering it, the bytes it writes, the memory of the host. */
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { instanceFromEnvironment } from '../../../platform/src/base/config.ts';
import { vmmPids } from '../../../platform/test/integration/support/instance.ts';
import type { PodmanLab } from '../../../platform/test/integration/support/podman-lab.ts';
import { type VmmMemory, vmmMemory } from '../memory.ts';
import { annotation, type Crun, podmanFlags } from './ways.ts';

export interface Inside {
  name: string;
  /** Milliseconds of one `exec ... true`, a static program. */
  exec(): Promise<number>;
  /** Milliseconds of a part of that: `state` asks the runtime, `ps` the guest as well. */
  ask(command: 'state' | 'ps'): Promise<number>;
  /** MB a second of one program's stdout, from its first byte to its end. */
  throughput(mib: number): Promise<number>;
  close(): Promise<void>;
}

/** A container in the background, entered through the runtime's own command. `crun` stands for exec on the host. */
export async function openInside(lab: PodmanLab, kind: 'crun' | 'vm' | 'namespace', crun: Crun): Promise<Inside> {
  const name = `inside-${kind}`;
  const runtime = kind === 'crun' ? crun.runtime : lab.runtime;
  // The same number of programs before each.
  const before = kind === 'crun' ? crun.before : ['env'];
  const flags = kind === 'crun' ? [] : ['--annotation', annotation(kind)];
  const started = await lab.podman(
    ['run', '-d', '--name', name, ...podmanFlags, ...flags, 'localhost/demo:1', 'sleep', '100000'],
    { runtime, before },
  );
  if (started.code !== 0) throw new Error(started.stderr.trim().split('\n').at(-1));
  const id = started.stdout.trim();
  /** What it says: bytes, and the milliseconds from the first of them on. */
  const call = (args: string[]) =>
    new Promise<{ bytes: number; flowMs: number }>((resolve, reject) => {
      const words = [...before, runtime, ...args];
      const child = spawn(words[0]!, words.slice(1), { env: lab.env, stdio: ['ignore', 'pipe', 'inherit'] });
      let bytes = 0;
      let firstMs = performance.now();
      child.stdout.on('data', (data: Buffer) => {
        if (bytes === 0) firstMs = performance.now();
        bytes += data.length;
      });
      child.once('error', reject);
      child.once('close', (code) =>
        code === 0
          ? resolve({ bytes, flowMs: performance.now() - firstMs })
          : reject(new Error(`${args[0]} ended with ${code}`)),
      );
    });
  const timed = async (args: string[]) => {
    const began = performance.now();
    await call(args);
    return performance.now() - began;
  };
  return {
    name: kind === 'crun' ? 'on the host' : `sampan ${kind}`,
    exec: () => timed(['exec', id, 'true']),
    ask: (command) => timed([command, id]),
    async throughput(mib) {
      const dd = ['dd', 'if=/dev/zero', 'bs=64k', `count=${mib * 16}`, 'status=none'];
      const { bytes, flowMs } = await call(['exec', id, ...dd]);
      if (bytes !== mib * 2 ** 20) throw new Error(`${bytes} bytes of ${mib} MiB arrived`);
      return bytes / flowMs / 1000;
    },
    async close() {
      await lab.podman(['rm', '--force', '--time', '0', name], { runtime, before });
    },
  };
}

/** Of the VMMs that run in the laboratory now. */
export const machineMemory = (lab: PodmanLab): VmmMemory[] =>
  machines(lab).map((pid) => vmmMemory(pid, /memfd:|memory|template/));

/** Whether they run on KVM, by their command lines. */
export const isAccelerated = (lab: PodmanLab): boolean =>
  machines(lab).some((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('kvm'));

function machines(lab: PodmanLab): number[] {
  const { run } = instanceFromEnvironment({ ...lab.env, SAMPAN_HOME: join(lab.home, 'runtime') });
  return vmmPids({ run }).filter((pid) => readlinkSync(`/proc/${pid}/exe`).includes('qemu'));
}
