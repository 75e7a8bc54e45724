/** Many Pods at once through CRI: until the last of them runs, and what each costs the host while they idle. */
import { readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pssMib, vmmMemory } from '../memory.ts';
import type { CriPeer } from './cri-peers.ts';

export const image = 'registry.k8s.io/e2e-test-images/busybox:1.29-2';
const settleMs = 3_000;
const removedAtOnce = 4;

export interface Crowd {
  /** From the first call until the last container is started. */
  seconds: number;
  /** MiB of the host for each Pod, outside its guest and its containers; absent where it cannot be told. */
  outside?: number;
  /** Of a VM's guest, MiB. */
  guest?: number;
}

export async function crowdOf(peer: CriPeer, size: number): Promise<Crowd> {
  await peer.client.pullImage({ image: { image } });
  const before = new Set(processes());
  const began = performance.now();
  const started = await Promise.allSettled(Array.from({ length: size }, (_, index) => startPod(peer, index)));
  const seconds = (performance.now() - began) / 1000;
  try {
    const failed = started.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    await delay(settleMs);
    return {
      seconds,
      ...memoryOf(
        processes().filter((pid) => !before.has(pid)),
        size,
      ),
    };
  } finally {
    await removePods(peer);
  }
}

/** One with a container that sleeps; gives the container. The image is there already. */
export async function startPod({ client, runtimeHandler }: CriPeer, index: number): Promise<string> {
  const name = `crowd-${runtimeHandler}-${index}`;
  const resources = { cpuQuota: 50_000n, cpuPeriod: 100_000n, memoryLimitInBytes: 64n << 20n };
  const config = {
    metadata: { name, namespace: 'bench', uid: `${name}-${process.pid}`, attempt: 0 },
    hostname: name,
    linux: { resources },
  };
  const { podSandboxId } = await client.runPodSandbox({ config, runtimeHandler });
  const container = {
    metadata: { name: 'main', attempt: 0 },
    image: { image },
    command: ['sleep', '100000'],
    linux: { resources },
  };
  const { containerId } = await client.createContainer({ podSandboxId, config: container, sandboxConfig: config });
  await client.startContainer({ containerId });
  return containerId!;
}

/** All there are. */
export async function removePods({ client }: CriPeer): Promise<void> {
  const { items = [] } = await client.listPodSandbox({});
  const remove = async () => {
    for (let item = items.pop(); item; item = items.pop()) {
      const { id: podSandboxId } = item;
      await client.stopPodSandbox({ podSandboxId });
      await client.removePodSandbox({ podSandboxId });
    }
  };
  await Promise.all(Array.from({ length: removedAtOnce }, remove));
}

const processes = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** What came with the Pods: VMMs; the agent of machines on the host; containerd's shims and pause containers. */
function memoryOf(pids: number[], size: number): Omit<Crowd, 'seconds'> {
  const programs = pids.map((pid) => ({ pid, program: programOf(pid) }));
  const vmms = programs.filter(({ program }) => program.startsWith('qemu'));
  if (vmms.length >= size) {
    const all = vmms.map(({ pid }) => vmmMemory(pid, /memfd:|memory|template/));
    const guest = sum(all.map(({ guestPrivate, guestShared }) => guestPrivate + guestShared)) / size;
    return { outside: sum(all.map(({ own, tcg }) => own + tcg)) / size, guest };
  }
  const ours = programs.filter(({ program }) => /^(agent|sampan-agent|containerd-shim.*|pause)$/.test(program));
  if (ours.length < size) return {};
  return { outside: sum(ours.map(({ pid }) => pssMib(pid))) / size };
}

function programOf(pid: number): string {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''));
  } catch {
    return '';
  }
}

const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0);
