/**
 * The rehearsal of a Pod's start (vmm.ts, Rehearsal), spoken with the guest's agent as a real one is: set-up with a made-up identity, a disk to
 * write on, an image, one container that says its name and ends. Without KVM a guest that has been through it starts a Pod several times faster.
 *
 * The first thing it does is to re-seed the guest's generator with bytes of its own, so that nothing the guest's kernel draws once and keeps
 * is shared by two machines; the Pod's own set-up re-seeds again.
 */
import { randomBytes } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { DiskAttachment, Rehearsal } from '../vmm/vmm.ts';
import type { Agent, ConnectAgent, SandboxSetup } from './agent/agent.ts';
import { defaultScratchBytes, ScratchDisks } from './sandbox/vm/scratch-disk.ts';
import { ociSpec } from './spec/oci-spec.ts';

export interface RehearsalOptions {
  connectAgent: ConnectAgent;
  /** For scratch disks that live a second; on tmpfs. */
  directory: string;
  /** The miniOS serves as the image: it holds one static program. */
  rootfsPath: string;
  clock?: Clock;
}

const container = 'rehearsal';
const imageSlot = 'image0';
const timeoutMs = 30_000;

export function createRehearsal(options: RehearsalOptions): Rehearsal {
  const { connectAgent, directory, rootfsPath, clock = systemClock } = options;
  const scratch = new ScratchDisks(directory);
  return {
    async disks(name): Promise<DiskAttachment[]> {
      return [
        { slot: 'scratch', path: await scratch.create(name, defaultScratchBytes), readOnly: false },
        { slot: imageSlot, path: rootfsPath, readOnly: true },
      ];
    },
    async run(channelPath, signal) {
      const agent = await connectAgent({
        channelPath,
        sandboxId: container,
        timeoutMs,
        adopted: false,
        ...(signal ? { signal } : {}),
      });
      try {
        await goThrough(agent, clock);
      } finally {
        await agent.close();
      }
    },
    release: (name) => scratch.remove(name),
  };
}

async function goThrough(agent: Agent, clock: Clock): Promise<void> {
  if (!agent.forget) throw new SampanError('Unsupported', 'this agent cannot forget a rehearsal');
  // In one burst, as a real start.
  await Promise.all([agent.setup(setupOf(clock)), agent.bindDisk(imageSlot), agent.createContainer(request())]);
  await Promise.all([readAll(agent), agent.startContainer(container)]);
  await exited(agent, clock);
  await agent.removeContainer(container);
  await agent.forget();
}

function setupOf(clock: Clock): SandboxSetup {
  return {
    hostname: container,
    machineId: '0'.repeat(32),
    entropy: randomBytes(64).toString('base64'),
    timeUnixNanos: (BigInt(clock.now()) * 1_000_000n).toString(),
    network: {
      mac: '02:53:4d:50:00:01',
      address: '169.254.77.2',
      prefixLength: 30,
      gateway: '169.254.77.1',
      mtu: 1500,
    },
    resolvConf: '',
    sysctls: {},
    sharePidNamespace: false,
    disks: ['scratch'],
  };
}

/** With limits, as most containers have. */
function request() {
  const resources = {
    cpuShares: 10n,
    cpuQuota: 100_000n,
    cpuPeriod: 100_000n,
    memoryLimitInBytes: 67_108_864n,
    oomScoreAdj: 900n,
  };
  const spec = ociSpec({
    id: container,
    hostname: container,
    config: { command: ['/usr/bin/crun', '--version'], linux: { resources, securityContext: {} } },
    image: {},
    volumePaths: [],
    podMemoryBytes: 256 * 1024 * 1024,
    architecture: process.arch,
  });
  return {
    id: container,
    imageSlot,
    spec,
    mounts: [],
    readOnlyRootfs: false,
    tty: false,
    stdin: false,
    stdinOnce: false,
    user: { name: '0', supplementalGroups: [] },
  };
}

async function readAll(agent: Agent): Promise<void> {
  const read = { stdout: 0n, stderr: 0n };
  for await (const { stream, offset, data } of agent.output(container, { stdout: 0n, stderr: 0n })) {
    read[stream] = offset + BigInt(data.length);
    agent.acknowledge(container, read);
  }
}

/** Its streams have ended, so its end is a moment away. */
async function exited(agent: Agent, clock: Clock): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const status = (await agent.listContainers()).find(({ id }) => id === container);
    if (status?.state === 'exited') {
      if (status.exit?.exitCode === 0) return;
      throw new SampanError(
        'InternalError',
        `the rehearsal's container failed: ${status.exit?.message || status.exit?.exitCode}`,
      );
    }
    await clock.sleep(5);
  }
  throw new SampanError('Timeout', "the rehearsal's container does not end");
}
