/**
 * The servers that are compared, each in processes and a directory of its own on a real disk: Sampan's API server on its default store, and,
 * where they can be had, kube-apiserver over etcd. Neither runs controllers; both speak HTTPS to a client certificate of system:masters.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadCredentials } from '../../../cli/src/credentials.ts';
import { serverEnvironment, serverFlags } from '../../../cli/src/setup/server-process.ts';
import { openPki } from '../../../platform/src/apiserver/pki/pki.ts';
import { freePort } from '../../../platform/test/fixtures/free-port.ts';
import { type Etcd, startEtcd } from '../../../platform/test/integration/support/etcd-lab.ts';
import { pssMib } from '../memory.ts';
import { Load } from './load.ts';

export interface Target {
  name: string;
  url: string;
  credentials: { ca: string; certificate: string; key: string };
  /** Every process that serves. */
  pids(): number[];
  close(): Promise<void>;
}

const root = join(import.meta.dirname, '../../..');

/** As the launcher runs it, with its keys made and its code compiled: a first start does that and ends. */
export async function startSampan(options: { controllers?: boolean } = {}): Promise<Target> {
  const home = await mkdtemp('/var/tmp/sampan-bench-api-');
  const first = spawnSampan(home, options);
  await firstLine(first).catch(() => {});
  const over = new Promise((resolve) => first.once('close', resolve));
  first.kill('SIGTERM');
  await over;
  const child = spawnSampan(home, options);
  const close = () => end([child], home);
  try {
    const line = await firstLine(child);
    const { url, kubeconfig } = JSON.parse(line);
    const { ca, cert, key } = await loadCredentials(kubeconfig);
    const credentials = { ca: `${ca}`, certificate: `${cert}`, key: `${key}` };
    return { name: 'sampan', url, credentials, pids: () => [child.pid!], close };
  } catch (error) {
    await close();
    throw error;
  }
}

function spawnSampan(home: string, options: { controllers?: boolean }): ChildProcess {
  const script = join(root, 'platform/test/integration/support/api-process.ts');
  const more = options.controllers ? ['--controllers'] : [];
  const store = { SAMPAN_STORE: 'sqlite', SAMPAN_ETCD_ENDPOINTS: '', NODE_ENV: 'production' };
  return spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...serverFlags, script, home, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...store, ...serverEnvironment(home) },
  });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve(`${chunk}`));
    child.once('close', (code) => reject(new Error(`Sampan's API server ended (${code})`)));
  });
}

export async function startKubeApiserver(binary: string, etcdBinary: string): Promise<Target> {
  const directory = await mkdtemp('/var/tmp/sampan-bench-kube-');
  let etcd: Etcd | undefined;
  let child: ChildProcess | undefined;
  const close = async () => {
    await end(child ? [child] : [], directory);
    await etcd?.dispose();
  };
  try {
    etcd = await startEtcd({
      binary: etcdBinary,
      parent: '/var/tmp',
      more: ['--heartbeat-interval', '100', '--election-timeout', '1000'],
    });
    const port = await freePort();
    const pki = await openPki({ directory: join(directory, 'pki'), addresses: [], names: [] });
    const [admin] = await Promise.all([pki.adminClient(), pki.serving()]);
    const file = (name: string) => join(directory, 'pki', name);
    await mkdir(join(directory, 'cert'));
    const args = [
      `--etcd-servers=${etcd.endpoint}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(directory, 'cert')}`,
      `--tls-cert-file=${file('serving.crt')}`,
      `--tls-private-key-file=${file('serving.key')}`,
      `--client-ca-file=${file('client-ca.crt')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${file('service-account.crt')}`,
      `--service-account-signing-key-file=${file('service-account.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
    ];
    child = spawn('setpriv', ['--pdeathsig', 'KILL', binary, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr!.on('data', (chunk) => {
      words = `${words}${chunk}`.slice(-1_000);
    });
    const { pid } = child;
    const url = `https://127.0.0.1:${port}`;
    const credentials = { ca: pki.caCertificate, certificate: admin.certificate, key: admin.key };
    const etcdPid = etcd.pid();
    const target = { name: 'kube-apiserver', url, credentials, pids: () => [pid!, etcdPid], close };
    await ready(target, child, () => words);
    return target;
  } catch (error) {
    await close();
    throw error;
  }
}

async function ready(target: Target, child: ChildProcess, words: () => string): Promise<void> {
  const load = new Load(target, 1);
  for (let tries = 0; tries < 300; tries++, await delay(200)) {
    if (child.exitCode !== null) throw new Error(`it ended (${child.exitCode}): ${words().trim().split('\n').at(-1)}`);
    const answer = await load.send('GET', '/readyz').catch(() => undefined);
    const namespace = answer?.status === 200 && (await load.send('GET', '/api/v1/namespaces/default'));
    if (namespace && namespace.status === 200) return load.close();
  }
  throw new Error('kube-apiserver is not ready after 60 s');
}

async function end(children: ChildProcess[], directory: string): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  await rm(directory, { recursive: true, force: true });
}

/** Proportional set size of all its processes, MiB. */
export const memoryMib = (target: Target): number => target.pids().reduce((sum, pid) => sum + pssMib(pid), 0);

/** Peaks count from here on. */
export function resetPeak(target: Target): void {
  for (const pid of target.pids()) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The most its processes had resident since `resetPeak`, MiB. */
export function peakMib(target: Target): number {
  const peak = (pid: number) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return target.pids().reduce((sum, pid) => sum + peak(pid) / 1024, 0);
}

/** CPU time its processes have used, ms. */
export function cpuMs(target: Target): number {
  const ticksPerSecond = 100;
  const ticks = (pid: number) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  return target.pids().reduce((sum, pid) => sum + (ticks(pid) * 1000) / ticksPerSecond, 0);
}
