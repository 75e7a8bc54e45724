/**
 * A real kubelet over a socket of `sampan cri`: its configuration, its process, and its own server's API. Everything it keeps is in one directory. What it
 * writes to the kernel's settings, and what it mounts, stays in the mount namespace of whoever starts it (`besideTheHost`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { stringify } from 'yaml';
import { run } from '../../../src/base/child.ts';

export interface KubeletOptions {
  /** Made here; removed by stop(). */
  directory: string;
  binary: string;
  criSocket: string;
  /** Fields of KubeletConfiguration on top of the lab's. */
  config?: object;
  flags?: string[];
  /** Client certificate that its server's API is asked with. */
  credentials?: { cert: string; key: string };
  /** Of its server. */
  port: number;
  /** The control group beneath which it makes those of its Pods. */
  cgroupRoot: string;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  /** The command's exit code. */
  code: number;
}

/** What kubelet sets at its start (container_manager_linux.go, setupKernelTunables): here it writes to files of this mount namespace. */
const tunables = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];

/** For a process in a mount namespace of its own: kernel settings that kubelet would write are files in `directory`. */
export async function besideTheHost(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const name of tunables) {
    const file = join(directory, name.replace('/', '-'));
    // What an earlier lab has put there lies in a directory that is gone.
    await run('umount', [`/proc/sys/${name}`]).catch(() => {});
    await writeFile(file, await readFile(`/proc/sys/${name}`, 'utf8'));
    await run('mount', ['--bind', file, `/proc/sys/${name}`]);
  }
}

export class Kubelet {
  readonly directory: string;
  readonly manifests: string;
  readonly #options: KubeletOptions;
  #process: ChildProcess | undefined;

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.directory = options.directory;
    this.manifests = join(options.directory, 'manifests');
  }

  get root(): string {
    return join(this.directory, 'root');
  }

  get logs(): string {
    return join(this.directory, 'pod-logs');
  }

  #config(): object {
    return {
      ...{ apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' },
      ...{ address: '127.0.0.1', port: this.#options.port, healthzPort: 0, readOnlyPort: 0 },
      containerRuntimeEndpoint: `unix://${this.#options.criSocket}`,
      ...{ failSwapOn: false, failCgroupV1: false, cgroupDriver: 'cgroupfs' },
      // Its defaults are the root of every hierarchy of the host; the rest of it (cgroupsPerQOS, enforceNodeAllocatable) is as it comes.
      cgroupRoot: this.#options.cgroupRoot,
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: 'AlwaysAllow' },
      ...{ staticPodPath: this.manifests, podLogsDir: this.logs, volumePluginDir: join(this.directory, 'plugins') },
      ...{ fileCheckFrequency: '1s', syncFrequency: '2s', nodeStatusUpdateFrequency: '2s' },
      // A test machine's disk may be fuller than a node's should be.
      evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%' },
      ...{ imageGCHighThresholdPercent: 100, imageGCLowThresholdPercent: 99 },
      // Statistics of Pods and containers are asked of the runtime, and not looked for in control groups of the host.
      featureGates: { PodAndContainerStatsFromCRI: true },
      ...{ makeIPTablesUtilChains: false, resolvConf: '', rotateCertificates: false },
      ...this.#options.config,
    };
  }

  /** Starts it (again); it is up when its server answers. */
  async start(): Promise<void> {
    const { directory, binary, flags = [] } = this.#options;
    for (const made of [this.manifests, this.root, this.logs]) await mkdir(made, { recursive: true });
    await writeFile(join(directory, 'config.yaml'), stringify(this.#config()));
    const log = await open(join(directory, 'kubelet.log'), 'a');
    const own = [`--config=${join(directory, 'config.yaml')}`, `--root-dir=${this.root}`, '--v=2'];
    const certificates = `--cert-dir=${join(directory, 'certificates')}`;
    this.#process = spawn(binary, [...own, certificates, '--hostname-override=kubelet', ...flags], {
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    for (let waited = 0; ; waited += 100) {
      if (this.#process.exitCode !== null) throw new Error(`kubelet ended:\n${await this.tail()}`);
      const up = await this.get('/healthz').catch(() => undefined);
      if (up === 'ok') return;
      if (waited > 60_000) throw new Error(`kubelet does not answer:\n${await this.tail()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  tail = async (): Promise<string> =>
    (await readFile(join(this.directory, 'kubelet.log'), 'utf8').catch(() => '')).slice(-4000);

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Ends it, lets go of the volumes it has mounted and removes what it kept. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
    for (const place of mounts.filter((one) => one.startsWith(this.directory)).reverse())
      await run('umount', ['-l', place]);
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Writes a static Pod's manifest, by name; undefined removes it. */
  async manifest(name: string, pod: object | undefined): Promise<void> {
    const path = join(this.manifests, `${name}.json`);
    if (pod) await writeFile(path, JSON.stringify(pod));
    else await rm(path, { force: true });
  }

  /** GET of its server; throws for any status but 200. */
  get(path: string): Promise<string> {
    const { credentials = {}, port } = this.#options;
    return new Promise((resolve, reject) => {
      const ask = request({ host: '127.0.0.1', port, path, rejectUnauthorized: false, ...credentials }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve(text) : reject(new Error(`${path}: ${answer.statusCode} ${text}`)),
        );
      });
      ask.on('error', reject);
      ask.end();
    });
  }

  async pods(): Promise<KubeletPod[]> {
    return (JSON.parse(await this.get('/pods')) as { items?: KubeletPod[] }).items ?? [];
  }

  log = (pod: string, container = 'main', namespace = 'default'): Promise<string> =>
    this.get(`/containerLogs/${namespace}/${pod}/${container}`);

  /** `kubectl exec`, over kubelet's server: it passes the stream on to the runtime's. */
  async exec(
    pod: string,
    command: string[],
    options: { stdin?: string; container?: string } = {},
  ): Promise<ExecResult> {
    const { stdin, container = 'main' } = options;
    const query = new URLSearchParams([...command.map((word) => ['command', word]), ['output', '1'], ['error', '1']]);
    if (stdin !== undefined) query.append('input', '1');
    const socket = this.#channel(`/exec/default/${pod}/${container}?${query}`);
    return finished(socket, stdin);
  }

  /** `kubectl attach`: what comes until `enough` says so. */
  attach(pod: string, enough: (text: string) => boolean, container = 'main'): Promise<string> {
    const socket = this.#channel(`/attach/default/${pod}/${container}?output=1&error=1`);
    return new Promise((resolve, reject) => {
      let text = '';
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`attach ended after "${text}"`)));
      socket.on('message', (message: Buffer) => {
        text += message.subarray(1).toString();
        if (!enough(text)) return;
        resolve(text);
        socket.terminate();
      });
    });
  }

  /** `kubectl port-forward` over WebSocket (v4.base64 is none of it): sends `input`, and gives what the port answers first. */
  portForward(pod: string, podPort: number, input: string): Promise<string> {
    const socket = this.#channel(`/portForward/default/${pod}?port=${podPort}`, 'v4.channel.k8s.io');
    return new Promise((resolve, reject) => {
      let text = '';
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`port-forward ended after "${text}"`)));
      socket.on('open', () => socket.send(Buffer.concat([Buffer.from([0]), Buffer.from(input)])));
      const begun = new Set<number>();
      socket.on('message', (message: Buffer) => {
        const channel = message[0] ?? 0;
        // The first message of each channel is the port, as two bytes.
        const isPort = !begun.has(channel);
        begun.add(channel);
        if (isPort || message.length < 2) return;
        text += message.subarray(1).toString();
        resolve(text);
        socket.terminate();
      });
    });
  }

  #channel(path: string, protocol = 'v5.channel.k8s.io'): WebSocket {
    return new WebSocket(`wss://127.0.0.1:${this.#options.port}${path}`, protocol, {
      rejectUnauthorized: false,
      ...this.#options.credentials,
    });
  }
}

export interface KubeletPod {
  metadata: { name: string; namespace: string; uid: string };
  status?: {
    phase?: string;
    podIP?: string;
    containerStatuses?: { name: string; ready: boolean; restartCount: number; containerID?: string; state?: object }[];
  };
}

const isClean = /"status":"Success"/;

/** Channels 1 and 2 are the outputs, 3 the end as a Status. */
function finished(socket: WebSocket, stdin: string | undefined): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const parts = new Map<number, string>();
    socket.on('error', reject);
    socket.on('open', () => {
      if (stdin === undefined) return;
      socket.send(Buffer.concat([Buffer.from([0]), Buffer.from(stdin)]));
      // Channel 255 closes another (v5).
      socket.send(Buffer.from([255, 0]));
    });
    socket.on('message', (message: Buffer) => {
      const channel = message[0] ?? 0;
      parts.set(channel, (parts.get(channel) ?? '') + message.subarray(1).toString());
    });
    socket.on('close', () => {
      const status = parts.get(3) ?? '';
      const code = isClean.test(status) ? 0 : Number(/"message":"(\d+)"/.exec(status)?.[1] ?? Number.NaN);
      if (Number.isNaN(code)) reject(new Error(`exec: ${status || 'no status'}`));
      else resolve({ stdout: parts.get(1) ?? '', stderr: parts.get(2) ?? '', code });
    });
  });
}
