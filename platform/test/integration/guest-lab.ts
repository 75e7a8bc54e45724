/** Machines with the guest's agent, and containers of busybox in them, without any runtime: for tests of the agent itself. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/log.ts';
import type { Agent, CreateContainer, OutputChunk, SandboxSetup } from '../../src/runtime/agent/agent.ts';
import { connectAgent } from '../../src/runtime/agent/agent-client.ts';
import { containerRequest } from '../../src/runtime/agent/agent-suite.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { Machine, Vmm } from '../../src/vmm/vmm.ts';
import { guestDirectory, launcherPath, missingForMachines } from './support/built-parts.ts';

const busybox = '/bin/busybox';

/** Why this machine cannot run these tests; undefined when it can. */
export const missing = (): string | undefined => missingForMachines(busybox, '/usr/bin/mkfs.erofs');

/** What crun needs in a spec for programs to find themselves at home. */
export const homely = {
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
  ],
};
export const nothing: { stdout: bigint; stderr: bigint } = { stdout: 0n, stderr: 0n };

/** Machines of one template, an image of busybox, and a blank scratch disk for each. */
export class GuestLab {
  readonly directory: string;
  readonly #vmm: Vmm;
  readonly #machines: Machine[] = [];

  private constructor(directory: string, vmm: Vmm) {
    this.directory = directory;
    this.#vmm = vmm;
  }

  static async open(): Promise<GuestLab> {
    const directory = await mkdtemp('/dev/shm/sampan-guest-agent-');
    const root = join(directory, 'image');
    for (const place of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp', 'data'])
      await mkdir(join(root, place), { recursive: true });
    await copyFile(busybox, join(root, 'bin/busybox'));
    const applets = [
      'sh',
      'echo',
      'cat',
      'sleep',
      'true',
      'id',
      'ps',
      'dd',
      'head',
      'yes',
      'httpd',
      'stty',
      'hostname',
      'ls',
      'wc',
      'mount',
      'chmod',
      'sha1sum',
      'mkdir',
      'env',
      'readlink',
      'tail',
      'tee',
      'rm',
      'grep',
      'mkfifo',
    ];
    for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nextra:x:50:web\n');
    await writeFile(join(root, 'etc/machine-id'), '');
    execFileSync('mkfs.erofs', [join(directory, 'image.erofs'), root], { stdio: 'ignore' });
    const blank = join(directory, 'blank.ext4');
    execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', blank, '256M']);
    const guest = await findGuestArtifacts(guestDirectory);
    const tag = `ga${process.pid.toString(36)}`;
    const vmm = await createQemuVmm({ run: join(directory, 'run'), guest, launcherPath, tag, log: silentLogger });
    return new GuestLab(directory, vmm);
  }

  async machine(id: string): Promise<Machine> {
    const scratch = join(this.directory, `${id}.ext4`);
    execFileSync('cp', ['--sparse=always', join(this.directory, 'blank.ext4'), scratch]);
    const machine = await this.#vmm.create({
      id,
      directory: join(this.directory, 'pods', id),
      shape: { vcpus: 1, memoryMib: 256 },
      disks: [
        { slot: 'scratch', path: scratch, readOnly: false },
        { slot: 'image0', path: join(this.directory, 'image.erofs'), readOnly: true },
      ],
    });
    this.#machines.push(machine);
    return machine;
  }

  agent = agentOf;

  async close(): Promise<void> {
    for (const machine of this.#machines) await this.#vmm.destroy(machine.directory);
    await this.#vmm.teardown();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Connected to the machine's agent, which is set up; `setup` besides the rest. */
export async function agentOf(
  { channelPath, id }: Machine,
  { adopted = false, setup = {} }: { adopted?: boolean; setup?: Partial<SandboxSetup> } = {},
): Promise<Agent> {
  const agent = await connectAgent({ channelPath, sandboxId: id, timeoutMs: 60_000, adopted });
  await agent.setup({
    hostname: id,
    machineId: randomBytes(16).toString('hex'),
    entropy: randomBytes(64).toString('base64'),
    timeUnixNanos: `${Date.now()}000000`,
    resolvConf: 'nameserver 192.0.2.1\n',
    sysctls: {},
    sharePidNamespace: false,
    disks: ['scratch', 'image0'],
    ...setup,
  });
  return agent;
}

let lastId = 0;

export const container = (args: string[], more: Partial<CreateContainer> = {}, spec: object = {}): CreateContainer =>
  containerRequest(`t${++lastId}`, args, more, { ...homely, ...spec });

export async function start(agent: Agent, request: CreateContainer): Promise<string> {
  await agent.createContainer(request);
  await agent.startContainer(request.id);
  return request.id;
}

export async function textOf(agent: Agent, id: string): Promise<string> {
  const chunks: OutputChunk[] = await Array.fromAsync(agent.output(id, nothing));
  return Buffer.concat(chunks.map((chunk) => chunk.data)).toString();
}

export const run = async (
  agent: Agent,
  script: string,
  more: Partial<CreateContainer> = {},
  spec: object = {},
): Promise<string> => textOf(agent, await start(agent, container(['/bin/sh', '-c', script], more, spec)));
