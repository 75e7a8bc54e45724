/**
 * A guest for tests of the VMM driver: the platform's kernel and modules, and a shell on the agent's channel instead of the agent, so that
 * a test can say what the machine does. And a lab around it: a run directory and a tag of its own, and nothing left behind.
 */
import { execFile } from 'node:child_process';
import {
  appendFile,
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createLogger } from '../../../src/base/log.ts';
import { findGuestArtifacts } from '../../../src/vmm/guest-artifacts.ts';
import type { Accelerator } from '../../../src/vmm/qemu/acceleration.ts';
import { createQemuVmm, type QemuVmmOptions } from '../../../src/vmm/qemu/qemu-vmm.ts';
import type { DiskAttachment, Machine, Vmm } from '../../../src/vmm/vmm.ts';
import { guestDirectory, launcherPath, missingForMachines } from './built-parts.ts';

const exec = promisify(execFile);
/** Why this machine cannot run these tests; undefined when it can. */
export const missingVmmParts = (): string | undefined => missingForMachines('/bin/busybox', '/usr/bin/cpio');

/** Like the agent: looks up the disks, unbinds all but root, is ready. Then runs each line from the channel and answers `== STATUS`. */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
cd /modules
for m in $(cat order); do insmod $m; done
cd /
i=0; while [ ! -e /dev/vdj ] && [ $i -lt 200 ]; do sleep 0.02; i=$((i+1)); done
echo 0 > /sys/bus/virtio/drivers_autoprobe
for b in /sys/block/vd*; do
  s=$(cat $b/serial); d=$(basename $(readlink -f $b/device)); echo $d > /slot.$s
  [ $s = root ] || echo $d > /sys/bus/virtio/drivers/virtio_blk/unbind
done
for d in /sys/bus/virtio/drivers/virtio_net/virtio*; do basename $d > /slot.net; basename $d > $d/driver/unbind; done
blk() { cat /slot.$1 > /sys/bus/virtio/drivers/virtio_blk/bind; for b in /sys/block/vd*; do [ $(cat $b/serial) = $1 ] && echo /dev/\${b##*/}; done; }
net() { cat /slot.net > /sys/bus/virtio/drivers/virtio_net/bind; ip link set eth0 address $2; ip link set lo up; ip link set eth0 up; ip addr add $1 dev eth0; }
for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = sampan.agent ] && break; done
exec 3<>/dev/$(basename $p)
echo "sampan-agent: ready" > /dev/console
while :; do
  while read -r line <&3; do eval "$line" >&3 2>&1; printf "\\n== %s\\n" $? >&3; done
  sleep 0.05
done
`;

async function buildGuest(root: string): Promise<string> {
  const real = await findGuestArtifacts(guestDirectory);
  const over = join(root, 'over');
  const guest = join(root, 'guest');
  await mkdir(join(over, 'bin'), { recursive: true });
  await mkdir(guest);
  await copyFile('/bin/busybox', join(over, 'bin/busybox'));
  await writeFile(join(over, 'init'), init, { mode: 0o755 });
  await copyFile(real.initrdPath, join(guest, 'initrd.img'));
  // The kernel unpacks concatenated archives one over the other.
  const { stdout } = await exec('sh', ['-c', 'find . | cpio -o -H newc --quiet'], {
    cwd: over,
    encoding: 'buffer',
    maxBuffer: 64 << 20,
  });
  await appendFile(join(guest, 'initrd.img'), stdout);
  await symlink(real.kernelPath, join(guest, 'vmlinuz'));
  await symlink(real.rootfsPath, join(guest, 'rootfs.erofs'));
  await writeFile(join(guest, 'version'), `test-${real.version}\n`);
  return guest;
}

/** What machines run on here, as the platform's own guest shows: the lab's does not answer as an agent does. */
async function accelerationHere(run: string, tag: string): Promise<Accelerator> {
  const log = createLogger({ level: 'fatal' });
  const vmm = await createQemuVmm({ run, guest: await findGuestArtifacts(guestDirectory), launcherPath, tag, log });
  const { acceleration } = await vmm.capabilities();
  await vmm.teardown();
  await rm(run, { recursive: true });
  return acceleration === 'kvm' ? 'kvm' : 'tcg';
}

export class VmmLab implements AsyncDisposable {
  readonly root: string;
  readonly run: string;
  readonly tag: string;
  readonly guest: string;
  readonly accelerator: Accelerator;
  readonly #open = new Set<Vmm>();

  private constructor(parts: { root: string; run: string; tag: string; guest: string; accelerator: Accelerator }) {
    this.root = parts.root;
    this.run = parts.run;
    this.tag = parts.tag;
    this.guest = parts.guest;
    this.accelerator = parts.accelerator;
  }

  static async make(): Promise<VmmLab> {
    const root = await mkdtemp(join(tmpdir(), 'sampan-vmm-lab-'));
    // QEMU's unprivileged uid opens the kernel by descriptor, through /proc.
    await chmod(root, 0o755);
    const tag = root.slice(-6).toLowerCase();
    const run = `/dev/shm/sampan-vmm-lab-${tag}`;
    const [guest, accelerator] = await Promise.all([buildGuest(root), accelerationHere(`${run}-trial`, tag)]);
    const lab = new VmmLab({ root, run, tag, guest, accelerator });
    await mkdir(lab.run, { mode: 0o711 });
    return lab;
  }

  async vmm(options: Partial<QemuVmmOptions> = {}): Promise<Vmm> {
    const log = createLogger({ level: process.env.LAB_LOG ?? 'fatal' });
    const guest = await findGuestArtifacts(this.guest);
    const { run, tag, accelerator } = this;
    const vmm = await createQemuVmm({ run, guest, launcherPath, tag, log, accelerator, ...options });
    this.#open.add(vmm);
    return vmm;
  }

  async close(vmm: Vmm): Promise<void> {
    if (this.#open.delete(vmm)) await vmm.close();
  }

  directory = (name: string): string => join(this.run, 'vm', name);

  /** A sparse file of `mib`, each MiB of which begins with its number. */
  async disk(slot: string, mib: number): Promise<DiskAttachment> {
    const path = join(this.root, `${slot}-${mib}.img`);
    await writeFile(path, `this is ${slot}`);
    await truncate(path, mib << 20);
    return { slot, path, readOnly: slot.startsWith('image') };
  }

  static async tap(name: string, address: string): Promise<void> {
    await exec('ip', ['tuntap', 'add', name, 'mode', 'tap']);
    await exec('ip', ['addr', 'add', address, 'dev', name]);
    await exec('ip', ['link', 'set', name, 'up']);
  }

  static async untap(name: string): Promise<void> {
    await exec('ip', ['link', 'del', name]).catch(() => {});
  }

  /** Destroys every machine and closes every driver; templates stay for the next test. */
  async reset(): Promise<void> {
    const vmm = [...this.#open][0] ?? (await this.vmm());
    for (const name of await readdir(join(this.run, 'vm')).catch(() => [])) await vmm.destroy(this.directory(name));
    for (const open of [...this.#open]) await this.close(open);
  }

  /** Processes that name this lab's run directory. */
  async processes(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(this.run)) found.push(`${pid} ${line.split('\0').slice(0, 4).join(' ')}`);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset();
    await rm(this.run, { recursive: true, force: true });
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Runs a line in a machine's shell and returns what it said. Throws when it ends with another status than 0. */
export async function shell(machine: Machine, line: string, timeoutMs = 30_000): Promise<string> {
  const socket = await open(machine.channelPath);
  try {
    socket.write(`${line}\n`);
    return await new Promise<string>((resolve, reject) => {
      let said = '';
      socket.setTimeout(timeoutMs, () =>
        reject(new Error(`"${line}" took more than ${timeoutMs} ms; it said: ${said}`)),
      );
      socket.on('close', () => reject(new Error(`the machine went away under "${line}"; it said: ${said}`)));
      socket.on('data', (chunk) => {
        said += chunk;
        const end = /^== (\d+)\n/m.exec(said);
        if (!end) return;
        const words = said.slice(0, end.index).trim();
        if (end[1] === '0') resolve(words);
        else reject(new Error(`"${line}" ended with ${end[1]}: ${words}`));
      });
    });
  } finally {
    socket.destroy();
  }
}

/** Starts a line that will not be answered: the machine goes down over it. */
export async function shellNoAnswer(machine: Machine, line: string): Promise<void> {
  await shell(machine, 'true');
  const socket = await open(machine.channelPath);
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.write(`${line}\n`, () => resolve()));
  await Promise.race([machine.exited, new Promise((resolve) => setTimeout(resolve, 2_000))]);
  socket.destroy();
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });
}
