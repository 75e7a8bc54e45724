/** What doctor looks at. Each check only looks (in a network namespace of its own where it has to try) and never changes the machine. */
import { execFile } from 'node:child_process';
import { readFile, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type CliInstance, runningServer } from '../instance.ts';
import { missingPackages, type PackageNeed, runtimePackages, testPackages } from '../setup/packages.ts';
import { checkCgroups } from './check-cgroups.ts';
import { checkCni, checkMacvlan } from './check-cni.ts';
import { checkKvm } from './check-kvm.ts';
import type { Finding } from './finding.ts';

const exec = promisify(execFile);
const mib = 1024 * 1024;
const gib = 1024 * mib;

export function allChecks(instance: CliInstance): (() => Promise<Finding>)[] {
  return [
    checkSystem,
    () => checkKvm(instance),
    checkCgroups,
    () => checkTried('tun', 'tap devices', ['ip', 'tuntap', 'add', 'sampantest', 'mode', 'tap'], 'modprobe tun'),
    () =>
      checkTried('bridge', 'Linux bridges', ['ip', 'link', 'add', 'sampantest', 'type', 'bridge'], 'modprobe bridge'),
    () =>
      checkTried(
        'nftables',
        'nft NAT',
        [
          'nft',
          'add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade',
        ],
        'modprobe nf_tables nft_masq nf_nat',
      ),
    () => checkPackages('tools', runtimePackages, 'fail'),
    () => checkPackages('test tools', testPackages, 'warn'),
    () => checkPort(instance),
    () => checkDisk(instance),
    checkMemory,
    ...(process.env.SAMPAN_NETWORK === 'cni' ? [() => checkCni()] : []),
    ...(process.env.SAMPAN_MACVLAN ? [() => checkMacvlan()] : []),
  ];
}

async function checkSystem(): Promise<Finding> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? 'unknown';
  const kernel = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
  const found = `${name}, Linux ${kernel}, ${process.arch}, ${process.getuid?.() === 0 ? 'root' : 'not root'}`;
  if (process.arch !== 'x64')
    return {
      check: 'system',
      state: 'fail',
      found,
      mend: 'use an x86-64 machine; other architectures are not built yet',
    };
  if (process.getuid?.() !== 0)
    return { check: 'system', state: 'fail', found, mend: 'run as root: bridges, taps and cgroups need it' };
  return {
    check: 'system',
    state: /debian|ubuntu/i.test(release) ? 'ok' : 'warn',
    found,
    ...(/debian|ubuntu/i.test(release) ? {} : { mend: 'install the packages doctor names by hand' }),
  };
}

async function checkTried(check: string, what: string, command: string[], mend: string): Promise<Finding> {
  if (process.getuid?.() !== 0) return { check, state: 'warn', found: `whether ${what} can be made only root can try` };
  try {
    await exec('unshare', ['-n', ...command], { timeout: 10_000 });
    return { check, state: 'ok', found: `${what} can be made` };
  } catch (error) {
    const words = String((error as { stderr?: string }).stderr || (error as Error).message)
      .trim()
      .split('\n')
      .pop();
    return { check, state: 'fail', found: `${what} cannot be made: ${words}`, mend };
  }
}

async function checkPackages(check: string, needs: PackageNeed[], state: 'warn' | 'fail'): Promise<Finding> {
  const missing = await missingPackages(needs);
  if (missing.length === 0) return { check, state: 'ok', found: needs.map((need) => need.name).join(' ') };
  const found = missing.map((need) => `${need.name} (${need.reason})`).join(', ');
  return {
    check,
    state,
    found: `missing: ${found}`,
    mend: `./sampan ${state === 'fail' ? 'up' : 'test'} installs them`,
  };
}

async function checkPort(instance: CliInstance): Promise<Finding> {
  // Of an instance that this user may not see the port tells.
  const server = await runningServer(instance).catch(() => undefined);
  if (server) return { check: 'port', state: 'ok', found: `this instance serves ${server.url}` };
  const [host = '', port = ''] = instance.listen.split(/:(?=\d+$)/);
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = createServer().once('error', resolve);
    probe.listen({ host: host.replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(port) }, () =>
      probe.close(() => resolve(undefined)),
    );
  });
  if (!error) return { check: 'port', state: 'ok', found: `${instance.listen} is free` };
  return {
    check: 'port',
    state: 'fail',
    found: `${instance.listen}: ${error.code}`,
    mend: `find who holds it (ss -ltnp 'sport = :${port}') or set SAMPAN_LISTEN`,
  };
}

async function checkDisk(instance: CliInstance): Promise<Finding> {
  const free = await freeBytes(instance.home);
  const found = `${(free / gib).toFixed(1)} GiB free for ${instance.home}`;
  if (free < 2 * gib)
    return { check: 'disk', state: 'fail', found, mend: 'free some space, or set SAMPAN_HOME to a larger disk' };
  if (free < 10 * gib) return { check: 'disk', state: 'warn', found, mend: 'images and Pods want 10 GiB' };
  return { check: 'disk', state: 'ok', found };
}

async function freeBytes(path: string): Promise<number> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (
      await stat(folder).then(
        () => true,
        () => false,
      )
    ) {
      const info = await statfs(folder);
      return info.bavail * info.bsize;
    }
  }
}

async function checkMemory(): Promise<Finding> {
  const available =
    Number(/MemAvailable:\s+(\d+)/.exec(await readFile('/proc/meminfo', 'utf8'))?.[1] ?? freemem() / 1024) * 1024;
  const found = `${(available / gib).toFixed(1)} of ${(totalmem() / gib).toFixed(1)} GiB available, ${availableParallelism()} cores`;
  if (available < 512 * mib)
    return { check: 'memory', state: 'fail', found, mend: 'free some memory: a default Pod wants 512 MiB' };
  return { check: 'memory', state: 'ok', found };
}
