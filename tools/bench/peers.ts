/** What else runs containers on this machine, where it is installed: containerd with runc, Podman. Each in directories of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from '../../platform/test/integration/support/command.ts';
import { until } from '../../platform/test/integration/support/wait.ts';

export interface Peer {
  name: string;
  /** Milliseconds of one `run --rm ... echo`. */
  run(): Promise<number>;
  close(): Promise<void>;
}

const archive = '/var/cache/sampan/demo-image-1.tar';
const image = 'localhost/demo:1';

export async function openPeers(progress: (text: string) => void): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const [name, open] of [
    ['ctr run', openContainerd],
    ['podman run', openPodman],
  ] as const) {
    try {
      peers.push(await open());
    } catch (error) {
      progress(`${name} is not compared: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  return peers;
}

async function timed(file: string, args: string[]): Promise<number> {
  const began = performance.now();
  await need(file, args);
  return performance.now() - began;
}

async function need(file: string, args: string[]): Promise<void> {
  const result = await command(file, args, { timeoutMs: 120_000 });
  if (result.code !== 0) throw new Error(`${file}: ${result.stderr.trim() || `exit ${result.code}`}`);
}

async function openContainerd(): Promise<Peer> {
  const directory = await mkdtemp('/var/tmp/sampan-bench-containerd-');
  const socket = join(directory, 'containerd.sock');
  const config = join(directory, 'config.toml');
  await writeFile(
    config,
    `version = 2\nroot = "${directory}/root"\nstate = "${directory}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
  );
  const daemon: ChildProcess = spawn('containerd', ['--config', config], { stdio: 'ignore' });
  const close = async () => {
    const gone = new Promise((resolve) => daemon.once('close', resolve));
    if (daemon.kill('SIGTERM')) await gone;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      daemon.once('error', reject);
      daemon.once('spawn', resolve);
    });
    await until('containerd', async () => (await command('ctr', ['-a', socket, 'version'])).code === 0, 20_000);
    await need('ctr', ['-a', socket, 'images', 'import', archive]);
    let count = 0;
    const peer = {
      name: 'ctr run',
      run: () => timed('ctr', ['-a', socket, 'run', '--rm', image, `bench-${count++}`, 'echo', 'first output']),
      close,
    };
    await peer.run();
    return peer;
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

async function openPodman(): Promise<Peer> {
  const directory = await mkdtemp('/var/tmp/sampan-bench-podman-');
  const base = [
    '--root',
    join(directory, 'root'),
    '--runroot',
    join(directory, 'run'),
    '--tmpdir',
    join(directory, 'tmp'),
    '--cgroup-manager',
    'cgroupfs',
    '--events-backend',
    'none',
  ];
  const close = async () => {
    await command('podman', [...base, 'system', 'reset', '--force']);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await need('podman', [...base, 'load', '-i', archive]);
    const runtime = await podmanRuntime(base);
    const run = () => timed('podman', [...base, ...runtime, ...podmanRun]);
    await run();
    return { name: 'podman run', run, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

/** `--ulimit host`: where limits cannot be raised, Podman's own would be refused. */
const podmanRun = ['run', '--rm', '--network', 'none', '--ulimit', 'host', image, 'echo', 'first output'];

/** Podman's own choice (crun on Debian) where it runs; crun gives up on a host with cgroups of both kinds, where runc works. */
async function podmanRuntime(base: string[]): Promise<string[]> {
  const choices = [[], ['--runtime', 'runc']];
  for (const choice of choices) {
    const tried = await command('podman', [...base, ...choice, ...podmanRun], { timeoutMs: 120_000 });
    if (tried.code === 0) return choice;
  }
  return [];
}
