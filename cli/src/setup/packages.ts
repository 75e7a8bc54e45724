/** The packages Sampan stands on, each with its reason, and how missing ones are installed. Debian and Ubuntu name them alike but for a few. */
import { constants, readFileSync } from 'node:fs';
import { access, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Failure } from '../failure.ts';
import { runCommand } from './run-command.ts';
import { toolPath } from './tool-path.ts';

export interface PackageNeed {
  name: string;
  reason: string;
  /** A command or absolute file that shows the package is there. */
  probe: string;
}

export interface PackageLists {
  /** What `up` needs. */
  runtime: PackageNeed[];
  /** What `test` needs besides. */
  test: PackageNeed[];
}

const runtime: PackageNeed[] = [
  {
    name: 'qemu-system-x86',
    reason: 'the VMM, and virtiofsd for directories of the host',
    probe: 'qemu-system-x86_64',
  },
  { name: 'iproute2', reason: 'bridges and taps', probe: 'ip' },
  { name: 'nftables', reason: 'NAT and filtering', probe: 'nft' },
  { name: 'e2fsprogs', reason: "formats a Pod's scratch disk", probe: 'mkfs.ext4' },
  { name: 'erofs-utils', reason: 'writes block images', probe: 'mkfs.erofs' },
  { name: 'util-linux', reason: 'mounts while the miniOS is built', probe: 'mount' },
  { name: 'kmod', reason: "reads the guest kernel's module order", probe: 'modinfo' },
  { name: 'cpio', reason: "packs the guest's initramfs", probe: 'cpio' },
  { name: 'xz-utils', reason: 'unpacks Debian packages for the miniOS', probe: 'xz' },
  { name: 'cargo', reason: "builds the guest agent and the host's programs", probe: 'cargo' },
  { name: 'gcc', reason: 'links them', probe: 'cc' },
  { name: 'make', reason: 'builds a static crun for the guest', probe: 'make' },
  { name: 'patch', reason: "applies the distribution's patches to it", probe: 'patch' },
  { name: 'libc6-dev', reason: 'links them statically', probe: '/usr/lib/x86_64-linux-gnu/libc.a' },
];

/** For the tests of several API servers, and for the comparison with it. */
export const etcdPackage: PackageNeed = {
  name: 'etcd-server',
  reason: 'the store of several API servers',
  probe: 'etcd',
};

/** For the tests of the shim, and for the comparison with runc. */
export const containerdPackage: PackageNeed = {
  name: 'containerd',
  reason: 'runs tasks through our shim',
  probe: 'containerd',
};

/** For the tests of the OCI command line, and for the comparison with crun. */
export const podmanPackages: PackageNeed[] = [
  { name: 'podman', reason: 'runs containers through our OCI command line', probe: 'podman' },
  { name: 'conmon', reason: 'holds the containers of Podman', probe: 'conmon' },
  { name: 'catatonit', reason: "the first process of Podman's pods", probe: 'catatonit' },
  { name: 'crun', reason: "Podman's own runtime, to compare ours with", probe: 'crun' },
];

const test: PackageNeed[] = [
  { name: 'docker-registry', reason: 'the registry images are pulled from', probe: 'docker-registry' },
  { name: 'skopeo', reason: 'pushes test images', probe: 'skopeo' },
  { name: 'apache2-utils', reason: 'htpasswd for the registry with basic auth', probe: 'htpasswd' },
  { name: 'mmdebstrap', reason: 'makes test images of Debian packages', probe: 'mmdebstrap' },
  { name: 'busybox-static', reason: 'the smallest test image', probe: 'busybox' },
  { name: 'umoci', reason: 'unpacks an image, to compare ours with', probe: 'umoci' },
  containerdPackage,
  { name: 'openssl', reason: 'makes certificates for a registry over TLS', probe: 'openssl' },
  etcdPackage,
  ...podmanPackages,
  { name: 'containernetworking-plugins', reason: 'CNI plugins to make a network of', probe: '/usr/lib/cni/portmap' },
  { name: 'iptables', reason: 'what they make rules with', probe: 'iptables' },
  { name: 'libcap2-bin', reason: 'reads file capabilities of an unpacked image', probe: 'getcap' },
  {
    name: 'python3-kubernetes',
    reason: 'a real client to try the API with',
    probe: '/usr/lib/python3/dist-packages/kubernetes',
  },
];

/** On top of these. Debian 12's cargo would clone the whole index of the crates' registry; its own packages hold the very crates of our Cargo.lock. */
const debian12: PackageLists = {
  runtime: [
    { name: 'librust-libc-dev', reason: 'a crate of both', probe: '/usr/share/cargo/registry/libc-0.2.139' },
    {
      name: 'librust-serde-json-dev',
      reason: 'a crate of the guest agent and the OCI command',
      probe: '/usr/share/cargo/registry/serde_json-1.0.87',
    },
  ],
  test: [],
};

const ubuntu: PackageLists = {
  runtime: [{ name: 'zstd', reason: "unpacks the guest kernel's modules", probe: 'zstd' }],
  test: [
    {
      name: 'debian-archive-keyring',
      reason: 'vouches for the Debian packages of test images',
      probe: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
  ],
};

/** By what /etc/os-release says (os-release(5)); Ubuntu's lists are also for what derives from it. */
export function packagesFor(osRelease: string): PackageLists {
  const more = ownLists(osRelease);
  return { runtime: [...runtime, ...more.runtime], test: [...test, ...more.test] };
}

function ownLists(osRelease: string): PackageLists {
  if (/^ID(_LIKE)?=.*\bubuntu\b/m.test(osRelease)) return ubuntu;
  const isDebian12 = /^ID="?debian"?$/m.test(osRelease) && /^VERSION_ID="?12"?$/m.test(osRelease);
  return isDebian12 ? debian12 : { runtime: [], test: [] };
}

export const { runtime: runtimePackages, test: testPackages } = packagesFor(readOsRelease());

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

export async function missingPackages(needs: PackageNeed[]): Promise<PackageNeed[]> {
  const found = await Promise.all(needs.map((need) => isThere(need.probe)));
  return needs.filter((_, index) => !found[index]);
}

async function isThere(probe: string): Promise<boolean> {
  const places = probe.startsWith('/')
    ? [probe]
    : toolPath()
        .split(delimiter)
        .map((folder) => join(folder, probe));
  for (const place of places) {
    if (
      await access(place, constants.F_OK).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  return false;
}

/** Installs with apt-get, without starting any service a package brings. */
export async function installPackages(needs: PackageNeed[], onLine: (line: string) => void): Promise<void> {
  if (needs.length === 0) return;
  const names = needs.map((need) => need.name);
  if (process.getuid?.() !== 0) {
    throw new Failure(`${names.join(', ')} missing`, {
      why: 'only root can install packages',
      mend: 'run this command as root',
    });
  }
  const policy = '/usr/sbin/policy-rc.d';
  const ours = await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  );
  try {
    const install = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...names];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const first = await runCommand('apt-get', install, { env, onLine, failOk: true });
    if (first.code === 0) return;
    await runCommand('apt-get', ['update'], { env, onLine });
    await runCommand('apt-get', install, { env, onLine });
  } finally {
    if (ours) await rm(policy, { force: true });
  }
}
