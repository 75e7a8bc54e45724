/** Real machines with a shared directory, for virtiofs.test.ts: a container of the guest sees the share `host` at /share. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/log.ts';
import type { Agent, CreateContainer, OutputChunk } from '../../src/runtime/agent/agent.ts';
import { connectAgent } from '../../src/runtime/agent/agent-client.ts';
import { findGuestArtifacts } from '../../src/vmm/guest-artifacts.ts';
import { createQemuVmm } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { Machine, Share, Vmm } from '../../src/vmm/vmm.ts';

const cache = process.env.SAMPAN_CACHE ?? '/var/cache/sampan';
const guestDirectory = process.env.SAMPAN_GUEST_DIR ?? join(cache, 'guest/current');
const launcherPath = join(process.env.SAMPAN_HOST_DIR ?? join(cache, 'host/current'), 'sampan-launch');

export function missingParts(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const parts = [guestDirectory, launcherPath, '/bin/busybox', '/usr/bin/qemu-system-x86_64', '/usr/bin/mkfs.erofs'];
  const absent = parts.filter((path) => !existsSync(path));
  const servers = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];
  if (!servers.some((path) => existsSync(path))) absent.push('virtiofsd');
  return absent.length > 0 ? `${absent.join(', ')} missing` : false;
}

const mounts = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
];

export class ShareLab {
  readonly directory: string;
  /** What the guest sees: a mount point with shared propagation. */
  readonly shared: string;
  #vmm: Vmm | undefined;
  readonly #tag: string;
  #last = 0;

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
    execFileSync('mount', ['--bind', lab.shared, lab.shared]);
    execFileSync('mount', ['--make-private', lab.shared]);
    execFileSync('mount', ['--make-shared', lab.shared]);
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
      accelerator: 'tcg',
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
    const agent = await connectAgent({
      channelPath: machine.channelPath,
      sandboxId: machine.id,
      timeoutMs: 60_000,
      adopted,
    });
    await agent.setup({
      hostname: machine.id,
      machineId: randomBytes(16).toString('hex'),
      entropy: randomBytes(64).toString('base64'),
      timeUnixNanos: `${Date.now()}000000`,
      resolvConf: '',
      sysctls: {},
      sharePidNamespace: false,
      disks: ['scratch', 'image0'],
    });
    await agent.createVolume({ id: 'host', kind: 'share', tag: 'host' });
    return agent;
  }

  /** Output and exit code of a script in a container with the share's `work` at /share. */
  async run(agent: Agent, script: string, more: Partial<CreateContainer> = {}): Promise<string> {
    const id = `t${++this.#last}`;
    await agent.createContainer({
      id,
      ...(more.rootfs ? {} : { imageSlot: 'image0' }),
      spec: {
        ociVersion: '1.0.2',
        mounts,
        process: {
          args: ['/bin/sh', '-c', script],
          cwd: '/',
          env: ['PATH=/bin'],
          capabilities: { bounding: powers, effective: powers, permitted: powers },
        },
      },
      mounts: [{ volumeId: 'host', subPath: 'work', containerPath: '/share', readOnly: false }],
      readOnlyRootfs: false,
      tty: false,
      stdin: false,
      stdinOnce: false,
      ...more,
    });
    await agent.startContainer(id);
    const nothing = { stdout: 0n, stderr: 0n };
    const chunks: OutputChunk[] = await Array.fromAsync(agent.output(id, nothing));
    await agent.removeContainer(id);
    return Buffer.concat(chunks.map((chunk) => chunk.data)).toString();
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
