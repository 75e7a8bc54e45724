/** etcd servers for tests: on loopback, each with its data in a directory of its own; may be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { buildGoTool, type GoTool } from '../../clients/go-tool.ts';
import { freePort } from '../../fixtures/free-port.ts';

export interface Etcd {
  endpoint: string;
  /** kill -9. */
  kill(): Promise<void>;
  pid(): number;
  /** Again on the same data and ports, after kill(); resolves when it is healthy. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

export interface EtcdOptions {
  binary: string;
  /** Where its directory is made. */
  parent?: string;
  /** PEM files: clients must show a certificate of `ca`. */
  tls?: { ca: string; cert: string; key: string };
  more?: string[];
}

/** Debian's (package etcd-server), or undefined where it is not installed. */
export function debianEtcd(): string | undefined {
  return onPath('etcd');
}

/** A newer etcd than Debian's (../../clients/etcd/go.mod pins which); SAMPAN_ETCD_BINARY names another one. */
export async function newEtcd(): Promise<GoTool> {
  const named = process.env.SAMPAN_ETCD_BINARY;
  return named ? { path: named } : buildGoTool('etcd');
}

export async function startEtcd(options: EtcdOptions): Promise<Etcd> {
  return (await startCluster(options, 1))[0]!;
}

/** So many members of one cluster. */
export async function startCluster(options: EtcdOptions, members: number): Promise<Etcd[]> {
  const ports = await Promise.all(
    Array.from({ length: members }, () => Promise.all([freePort(), freePort(), freePort()])),
  );
  const cluster = ports.map(([, peer], index) => `m${index}=http://127.0.0.1:${peer}`).join(',');
  const all = ports.map(([client, peer, health], index) =>
    makeMember(options, { index, client, peer, health, cluster }),
  );
  const made = await Promise.all(all);
  try {
    await Promise.all(made.map((member) => member.restart()));
    return made;
  } catch (error) {
    await Promise.all(made.map((member) => member.dispose()));
    throw error;
  }
}

interface MemberPorts {
  index: number;
  client: number;
  peer: number;
  health: number;
  cluster: string;
}

/** Not started yet. */
async function makeMember(options: EtcdOptions, { index, client, peer, health, cluster }: MemberPorts): Promise<Etcd> {
  const { binary, parent = tmpdir(), more = [], tls } = options;
  const directory = await mkdtemp(join(parent, 'sampan-etcd-'));
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const healthUrl = `http://127.0.0.1:${health}`;
  const args = [
    ...['--name', `m${index}`, '--data-dir', directory, '--initial-cluster', cluster],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint, '--listen-metrics-urls', healthUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    // Members on one machine need not wait long for each other.
    ...['--heartbeat-interval', '20', '--election-timeout', '200', '--max-txn-ops', '10000'],
    ...(tls ? ['--client-cert-auth', '--trusted-ca-file', tls.ca, '--cert-file', tls.cert, '--key-file', tls.key] : []),
    ...['--logger', 'zap', '--log-level', 'error', ...more],
  ];
  let child: ChildProcess | undefined;
  const start = async () => {
    // It ends with us, however we end.
    const started = spawn('setpriv', ['--pdeathsig', 'KILL', binary, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    child = started;
    let words = '';
    started.stderr.on('data', (chunk) => {
      words = `${words}${chunk}`.slice(-2000);
    });
    await healthy(started, healthUrl, () => words);
  };
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child!.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  const dispose = async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  };
  return { endpoint, pid: () => child!.pid!, kill, restart: start, dispose };
}

async function healthy(child: ChildProcess, url: string, words: () => string): Promise<void> {
  for (const endMs = performance.now() + 60_000; performance.now() < endMs; ) {
    if (child.exitCode !== null) throw new Error(`etcd ended: ${words()}`);
    const answer = await fetch(`${url}/health`).then(
      (response) => response.json() as Promise<{ health: string }>,
      () => undefined,
    );
    if (answer?.health === 'true') return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`etcd is not healthy after a minute: ${words()}`);
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
