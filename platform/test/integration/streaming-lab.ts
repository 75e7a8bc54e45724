/**
 * The real API server with a node that runs local processes in place of containers: what kubectl's exec, cp, attach, port-forward
 * and logs are tried against without a VM.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { createStreamingHook } from '../../src/apiserver/streaming/streaming.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { ExecOptions, LogOptions, NodeGateway, PodKey } from '../../src/node/gateway.ts';
import type { StreamSession } from '../../src/runtime/runtime.ts';
import { startTestApi } from './api-test-server.ts';
import { kubectlBinary } from './support/instance.ts';

export class ProcessGateway implements NodeGateway {
  readonly resizes: string[] = [];
  readonly running = new Set<ChildProcess>();
  readonly connections = new Set<Socket>();
  /** What logs answers; the signal tells when the client has left. */
  log: (options: LogOptions, signal: AbortSignal) => AsyncIterable<Uint8Array> = async function* () {};

  async logs(_pod: PodKey, options: LogOptions, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.log(options, signal);
  }

  async exec(_pod: PodKey, options: ExecOptions): Promise<StreamSession> {
    const [command = '', ...args] = options.command;
    if (command === 'not-running') {
      throw new SampanError('FailedPrecondition', 'container "main" is not running: it is waiting');
    }
    if (!options.tty) return this.#session(spawn(command, args, { detached: true }), options);
    const line = options.command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    return this.#session(spawn('script', ['-qefc', line, '/dev/null'], { detached: true }), options);
  }

  attach(pod: PodKey, options: Omit<ExecOptions, 'command'>): Promise<StreamSession> {
    const script = 'echo attached; while read line; do echo "got $line"; [ "$line" = stop ] && exit 4; done';
    return this.exec(pod, { ...options, tty: false, command: ['sh', '-c', script] });
  }

  #session(child: ChildProcessWithoutNullStreams, options: ExecOptions): StreamSession {
    this.running.add(child);
    const exited = once(child, 'exit').then(([code]) => {
      this.running.delete(child);
      return { exitCode: (code as number | null) ?? 137 };
    });
    child.stdin.on('error', () => {});
    if (!options.stdin) child.stdin.end();
    return {
      stdin: options.stdin ? webWritable(child.stdin) : undefined,
      stdout: webReadable(child.stdout),
      stderr: options.tty ? undefined : webReadable(child.stderr),
      resize: async (columns, rows) => void this.resizes.push(`${columns}x${rows}`),
      exited,
      [Symbol.asyncDispose]: async () => {
        if (!this.running.has(child)) return;
        process.kill(-child.pid!, 'SIGKILL');
        await exited;
      },
    };
  }

  async portForward(_pod: PodKey, port: number): Promise<StreamSession> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect').catch((error) => {
      throw new SampanError('ServiceUnavailable', `dial tcp4 127.0.0.1:${port}: ${error.message}`);
    });
    this.connections.add(socket);
    socket.on('error', () => {});
    const closed = once(socket, 'close').then(() => {
      this.connections.delete(socket);
      return { exitCode: 0 };
    });
    return {
      stdin: webWritable(socket),
      stdout: webReadable(socket),
      resize: async () => {},
      exited: closed,
      [Symbol.asyncDispose]: async () => void socket.destroy(),
    };
  }

  async statsSummary(): Promise<object> {
    return {};
  }
}

const webReadable = (stream: Readable) => Readable.toWeb(stream) as ReadableStream<Uint8Array>;

/** With backpressure, and an error when the process has closed its end. */
function webWritable(stream: NodeJS.WritableStream): WritableStream<Uint8Array> {
  return new WritableStream({
    write: (chunk) =>
      new Promise<void>((resolve, reject) => {
        stream.write(chunk, (error) => (error ? reject(error) : resolve()));
      }),
    close: () => new Promise<void>((resolve) => stream.end(() => resolve())),
    abort: () => (stream as Socket).destroy() && undefined,
  });
}

/** A running Pod "pod" with a container "main". */
export async function newStreamingLab() {
  const gateway = new ProcessGateway();
  const streaming = createStreamingHook({ log: silentLogger });
  const api = await startTestApi({ more: { gateway: () => gateway, streaming } });
  const { url, kubeconfig } = await api.listen();
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod', namespace: 'default' },
    spec: { nodeName: 'here', containers: [{ name: 'main', image: 'none', stdin: true }] },
  };
  await api.client.create(resources.pods, pod, { namespace: 'default' });
  const status = { phase: 'Running', containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }] };
  await api.client.patch(
    resources.pods,
    'pod',
    { status },
    { namespace: 'default', type: 'application/merge-patch+json', subresource: 'status' },
  );
  const kubectl = (version: string, args: string[], input?: Uint8Array) =>
    runKubectl(version, ['--kubeconfig', kubeconfig, ...args], input);
  return { api, gateway, url, kubeconfig, kubectl, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

export type StreamingLab = Awaited<ReturnType<typeof newStreamingLab>>;

export interface KubectlResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

async function runKubectl(version: string, args: string[], input?: Uint8Array): Promise<KubectlResult> {
  const child = spawn(kubectlBinary(version)!, args, { timeout: 120_000 });
  const [stdout, stderr] = [[] as Buffer[], [] as Buffer[]];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}
