/** etcd servers for tests: one member, on loopback, with its data in a directory of its own; may be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { command } from './instance.ts';

export interface Etcd {
  endpoint: string;
  pid(): number;
  /** kill -9. */
  kill(): Promise<void>;
  /** Again on the same data and port, after kill(). */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

export interface EtcdOptions {
  binary: string;
  /** Where its directory is made. */
  parent?: string;
  more?: string[];
}

/** Debian's (package etcd-server), or undefined where it is not installed. */
export function debianEtcd(): string | undefined {
  return onPath('etcd');
}

const newVersion = 'v3.6.6';

/**
 * A newer etcd, built from its Go module into the cache: about half a minute of CPU, once. SAMPAN_ETCD_BINARY names another one.
 * Returns why there is none instead where Go or the modules are missing.
 */
export async function newEtcd(): Promise<{ binary: string } | { missing: string }> {
  const named = process.env.SAMPAN_ETCD_BINARY;
  if (named) return { binary: named };
  const cache = join(process.env.SAMPAN_CACHE || '/var/cache/sampan', `etcd-${newVersion}`);
  const binary = join(cache, 'etcd');
  if (isExecutable(binary)) return { binary };
  const go = onPath('go') ?? ['/usr/local/go/bin/go'].find(isExecutable);
  if (!go) return { missing: `there is no go to build etcd ${newVersion} with; SAMPAN_ETCD_BINARY may name one` };
  const directory = await mkdtemp(join(tmpdir(), 'sampan-etcd-build-'));
  try {
    await mkdir(cache, { recursive: true });
    await writeFile(join(directory, 'go.mod'), 'module build\n\ngo 1.24\n');
    const made = join(directory, 'etcd');
    for (const args of [
      ['get', `go.etcd.io/etcd/server/v3@${newVersion}`],
      ['build', '-o', made, 'go.etcd.io/etcd/server/v3'],
    ]) {
      const { code, stderr } = await command(go, ['-C', directory, ...args], { timeoutMs: 300_000 });
      if (code !== 0) return { missing: `etcd ${newVersion} does not build: ${stderr.trim().split('\n').at(-1)}` };
    }
    await rename(made, binary).catch(() => command('cp', [made, binary]));
    return { binary };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function startEtcd({ binary, parent = tmpdir(), more = [] }: EtcdOptions): Promise<Etcd> {
  const directory = await mkdtemp(join(parent, 'sampan-etcd-'));
  const [client, peer] = [await freePort(), await freePort()];
  const [endpoint, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const args = [
    ...['--name', 'one', '--data-dir', directory],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `one=${peerUrl}`],
    // A single member need not wait long for others before it leads.
    ...['--heartbeat-interval', '10', '--election-timeout', '100', '--max-txn-ops', '10000'],
    ...['--logger', 'zap', '--log-level', 'error', ...more],
  ];
  let child: ChildProcess;
  const start = async () => {
    child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr!.on('data', (chunk) => {
      words = `${words}${chunk}`.slice(-2000);
    });
    await healthy(child, endpoint, () => words);
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  const dispose = async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { endpoint, pid: () => child.pid!, kill, restart: start, dispose };
}

async function healthy(child: ChildProcess, endpoint: string, words: () => string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) throw new Error(`etcd ended: ${words()}`);
    const answer = await fetch(`${endpoint}/health`).then(
      (response) => response.json() as Promise<{ health: string }>,
      () => undefined,
    );
    if (answer?.health === 'true') return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`etcd is not healthy after 10 s: ${words()}`);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0));
    });
  });
}

function onPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
