/** Real machines with a shared directory, for virtiofs.test.ts: a container of the guest sees the share `host` at /share. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/log.ts';
import type { Agent, CreateContainer } from '../../src/runtime/agent/agent.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { Machine, Share, Vmm } from '../../src/vmm/vmm.ts';
import { agentOf, container, start, textOf } from './guest-lab.ts';
import { guestDirectory, launcherPath, missingForMachines } from './support/built-parts.ts';
import { mountShared } from './support/shared-mount.ts';

export function missingParts(): string | undefined {
  const servers = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];
  const server = servers.find((path) => existsSync(path)) ?? servers[0]!;
  return missingForMachines('/bin/busybox', '/usr/bin/mkfs.erofs', server);
}

export class ShareLab {
  readonly directory: string;
  /** What the guest sees: a mount point with shared propagation. */
  readonly shared: string;
  #vmm: Vmm | undefined;
  readonly #tag: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.shared = join(directory, 'shared');
    this.#tag = `vf${process.pid.toString(36)}`;
  }

  static async open(): Promise<ShareLab> {
    // On a disk: what is on tmpfs is memory of the machine that writes it.
    const lab = new ShareLab(await mkdtemp('/var/tmp/sampan-virtiofs-'));
    await makeRoot(join(lab.directory, 'image'));
    execFileSync('mkfs.erofs', [join(lab.directory, 'image.erofs'), join(lab.directory, 'image')], { stdio: 'ignore' });
    await mkdir(lab.shared);
    mountShared(lab.shared);
    await mkdir(join(lab.shared, 'work'));
    return lab;
  }

  async vmm(): Promise<Vmm> {
    this.#vmm ??= await createQemuVmm({
      run: `/dev/shm/sampan-${this.#tag}`,
      guest: await findGuestArtifacts(guestDirectory),
      launcherPath,
      tag: this.#tag,
      log: silentLogger,
    });
    return this.#vmm;
  }

  /** The server's end: what is left is the host. */
  async forgetVmm(): Promise<void> {
    await this.#vmm?.close();
    this.#vmm = undefined;
  }

  machineDirectory = (id: string): string => `/dev/shm/sampan-${this.#tag}/vm/${id}`;

  async machine(id: string, more: Partial<Share> = {}): Promise<Machine> {
    const scratch = join(this.directory, `${id}.ext4`);
    execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=1', scratch, '512M']);
    return (await this.vmm()).create({
      id,
      directory: this.machineDirectory(id),
      shape: { vcpus: 1, memoryMib: 256 },
      disks: [
        { slot: 'scratch', path: scratch, readOnly: false },
        { slot: 'image0', path: join(this.directory, 'image.erofs'), readOnly: true },
      ],
      shares: [{ tag: 'host', directory: this.shared, readOnly: false, ...more }],
    });
  }

  async agent(machine: Machine, adopted = false): Promise<Agent> {
    const agent = await agentOf(machine, { adopted, setup: { resolvConf: '' } });
    await agent.createVolume({ id: 'host', kind: 'share', tag: 'host' });
    return agent;
  }

  /** Output of a script in a container with the share's `work` at /share. */
  async run(agent: Agent, script: string, more: Partial<CreateContainer> = {}): Promise<string> {
    const capabilities = { bounding: powers, effective: powers, permitted: powers };
    const process = { args: ['/bin/sh', '-c', script], cwd: '/', env: ['PATH=/bin'], capabilities };
    const mounts = [{ volumeId: 'host', subPath: 'work', containerPath: '/share', readOnly: false }];
    const id = await start(agent, container(process.args, { mounts, ...more }, { process }));
    const text = await textOf(agent, id);
    await agent.removeContainer(id);
    return text;
  }

  async close(): Promise<void> {
    const vmm = await this.vmm();
    for (const id of ['one', 'two', 'three']) await vmm.destroy(this.machineDirectory(id));
    await vmm.teardown();
    execFileSync('umount', ['-R', '-l', this.shared]);
    assert.deepEqual(serverProcesses(this.shared), []);
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(this.directory), false, 'a mount is left');
    for (const hierarchy of ['', 'memory', 'cpu'])
      assert.equal(existsSync(join('/sys/fs/cgroup', hierarchy, `sampan-${this.#tag}`)), false, 'a cgroup is left');
    await rm(`/dev/shm/sampan-${this.#tag}`, { recursive: true, force: true });
    await rm(this.directory, { recursive: true, force: true });
    assert.equal(existsSync(this.directory), false);
  }
}

/** Processes that serve this directory; the outermost first. */
export function serverProcesses(directory: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words.includes(`source=${directory}`)) found.push(Number(name));
    } catch {
      // It has just ended.
    }
  }
  return found.sort((a, b) => a - b);
}

/** What a container that may do much has. */
const powers = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_MKNOD',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SETFCAP',
  'CAP_SYS_ADMIN',
];

/** A root file system of busybox. */
export async function makeRoot(root: string): Promise<void> {
  for (const place of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp', 'share'])
    await mkdir(join(root, place), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nweb:x:33:44::/:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
}
