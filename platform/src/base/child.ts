/** Child processes with bounds: the only door to child_process outside the drivers. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { SampanError } from '@sampan/api/errors.ts';

export interface RunOptions {
  /** Default 60 s; the child is killed then. */
  timeoutMs?: number;
  signal?: AbortSignal;
  input?: string | Uint8Array;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Output beyond this is cut (default 1 MiB a stream). */
  maxOutputBytes?: number;
  /** Exit codes that are no error (default [0]). */
  okCodes?: number[];
  /** It is somebody else's program, which may have started more: what it started is killed along with it. */
  withGroup?: boolean;
  /** argv[0], where that is not the command. */
  argv0?: string;
  /** Called once it runs, before anything else can happen to us. */
  onSpawn?: (pid: number) => void;
  /** Its own end counts: what it has left running may keep its output open, and live on. */
  mayLeaveOthers?: boolean;
}

/** What a process has said before it ended is in its pipes: it takes a moment to be read. */
const lastWordsMs = 100;

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. Throws InternalError with the command's last words, Timeout, or FailedPrecondition when it is not installed. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeoutMs = 60_000, maxOutputBytes = 1 << 20, okCodes = [0] } = options;
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const spawnOptions: SpawnOptions = { stdio: ['pipe', 'pipe', 'pipe'] };
    if (options.cwd) spawnOptions.cwd = options.cwd;
    if (options.env) spawnOptions.env = options.env;
    if (options.withGroup) spawnOptions.detached = true;
    if (options.argv0 !== undefined) spawnOptions.argv0 = options.argv0;
    const child = spawn(command, args, spawnOptions);
    if (child.pid !== undefined) options.onSpawn?.(child.pid);
    const stdout = collect(child.stdout, maxOutputBytes);
    const stderr = collect(child.stderr, maxOutputBytes);
    let timedOut = false;
    const onAbort = () => kill(child, options.withGroup ?? false);
    const timer = setTimeout(() => {
      timedOut = true;
      onAbort();
    }, timeoutMs);
    options.signal?.addEventListener('abort', onAbort);
    const settle = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      settle();
      reject(
        error.code === 'ENOENT'
          ? new SampanError('FailedPrecondition', `${command} is not installed; run ./sampan doctor`)
          : new SampanError('InternalError', `${command}: ${error.message}`, {}, { cause: error }),
      );
    });
    if (options.mayLeaveOthers) child.on('exit', () => setTimeout(() => letGo(child), lastWordsMs));
    child.on('close', (code, signal) => {
      settle();
      if (options.signal?.aborted) return reject(options.signal.reason);
      if (timedOut) return reject(new SampanError('Timeout', `${command} did not end within ${timeoutMs} ms`));
      const result = { code: code ?? 128, stdout: stdout.text(), stderr: stderr.text() };
      if (okCodes.includes(result.code)) return resolve(result);
      const words = (result.stderr || result.stdout).trim().slice(-500);
      reject(
        new SampanError('InternalError', `${command} ${args[0] ?? ''} failed (${signal ?? `exit ${code}`}): ${words}`),
      );
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
  });
}

/** What it has started may hold its output open, and live on: that is not waited for. */
function kill(child: ChildProcess, withGroup: boolean): void {
  if (withGroup && child.pid !== undefined) {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of them have ended.
    }
  }
  child.kill('SIGKILL');
  letGo(child);
}

function letGo(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function collect(stream: NodeJS.ReadableStream | null, limit: number): { text(): string } {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (size < limit) chunks.push(chunk.subarray(0, limit - size));
    size += chunk.length;
  });
  return { text: () => Buffer.concat(chunks).toString('utf8') };
}

/** Starts a process that outlives this one: own session, no shared stdio but what `stdio` says. */
export function spawnDetached(command: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore', ...options, detached: true });
  child.unref();
  return child;
}
