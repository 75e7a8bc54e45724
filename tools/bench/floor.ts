/**
 * The floor: what the VMM driver, the agent and crun take for one container, with no API, node, network or log in the way. One clone
 * (or whatever is fastest that the driver has), set-up, one container, until its first output arrives here.
 */

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxSetup } from '../../platform/src/runtime/agent/agent.ts';
import { connectAgent } from '../../platform/src/runtime/agent/agent-client.ts';
import { ociSpec } from '../../platform/src/runtime/spec/oci-spec.ts';
import type { Machine, MachineShape, Vmm } from '../../platform/src/vmm/vmm.ts';

export interface FloorRun {
  ms: number;
  /** CPU time of the VMM process until the output arrived. */
  cpuMs: number;
}

export async function floorRun(options: {
  vmm: Vmm;
  run: string;
  image: string;
  shape: MachineShape;
}): Promise<FloorRun> {
  const id = `floor-${randomBytes(4).toString('hex')}`;
  const directory = join(options.run, 'vm', id);
  const began = performance.now();
  let machine: Machine | undefined;
  try {
    machine = await options.vmm.create({
      id,
      directory,
      shape: options.shape,
      disks: [{ slot: 'image0', path: options.image, readOnly: true }],
    });
    const agent = await connectAgent({
      channelPath: machine.channelPath,
      sandboxId: id,
      timeoutMs: 20_000,
      adopted: false,
    });
    const calls = [
      agent.setup(setupOf(id)),
      agent.createContainer({
        id: 'c',
        imageSlot: 'image0',
        spec: specOf(id),
        mounts: [],
        readOnlyRootfs: false,
        tty: false,
        stdin: false,
        stdinOnce: false,
      }),
      agent.startContainer('c'),
    ];
    await Promise.all(calls);
    for await (const chunk of agent.output('c', { stdout: 0n, stderr: 0n })) {
      if (chunk.data.length > 0) break;
    }
    const ms = performance.now() - began;
    const { cpuNanos } = await machine.stats();
    await agent.close();
    return { ms, cpuMs: Number(cpuNanos) / 1e6 };
  } finally {
    await options.vmm.destroy(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

function setupOf(id: string): SandboxSetup {
  return {
    hostname: id,
    machineId: randomBytes(16).toString('hex'),
    entropy: randomBytes(64).toString('base64'),
    timeUnixNanos: String(BigInt(Date.now()) * 1_000_000n),
    resolvConf: '',
    sysctls: {},
    sharePidNamespace: false,
    disks: ['image0'],
  };
}

/** The very spec a Pod's container gets. */
function specOf(hostname: string): object {
  const config = { metadata: { name: 'c' }, image: { image: 'demo' }, command: ['echo', 'first output'] };
  return ociSpec({
    id: 'c',
    hostname,
    config,
    image: {},
    volumePaths: [],
    podMemoryBytes: 64 * 2 ** 20,
    architecture: process.arch,
  });
}
