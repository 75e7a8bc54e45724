/** Starts and stops the server process of an instance. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { type CliInstance, processStartTime, runningServer, type ServerInfo, serverLogPath } from '../instance.ts';
import type { Artifact } from './artifacts.ts';
import { compileServer } from './compile-server.ts';
import { serverMend, serverWords } from './server-words.ts';

const startTimeoutMs = 60_000;
/** How a server ends whose home another one serves (`platform/src/cmd/instance-lock.ts`), and how long that one, if it is just starting, may take to say so. */
export const lockHeldExit = 75;
const otherStartMs = 20_000;

/**
 * How Node runs the server. Its young generation may grow to 48 MiB by default, and stays so: with 4 MiB halves an idle server takes a tenth
 * less, one with tens of thousands of objects far less, for the same CPU time (`bench api`). The server collects garbage itself when it has little
 * else to do (`base/quiet-collector.ts`).
 */
export const serverFlags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', '--expose-gc'];

/**
 * What goes with the flags. Types are stripped and code compiled once, and kept: the part of Node that strips them takes 15 MiB in a process that has
 * to. One arena for all threads, for the server has one that does the work, and the others' would only hold what they once needed; buffers of 64 KiB
 * and more lie outside it and go back to the system.
 */
export function serverEnvironment(cache: string): Record<string, string> {
  const malloc = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '65536' };
  return { NODE_COMPILE_CACHE: join(cache, 'node-compile-cache'), ...malloc };
}

/** Starts the server in a session of its own and waits until it serves, or another that was started at the same time. Returns at once when it already runs. */
export async function startServer(instance: CliInstance, built: Artifact[]): Promise<ServerInfo> {
  const running = await runningServer(instance);
  if (running) return running;
  const environment = serverEnvironment(instance.cache);
  // A cache that cannot be written costs memory, and no server.
  await compileServer({ root: instance.root, flags: serverFlags, environment }).catch(() => {});
  const logPath = serverLogPath(instance);
  await mkdir(dirname(logPath), { recursive: true, mode: 0o700 });
  const log = await open(logPath, 'a', 0o600);
  const { size: logStart } = await log.stat();
  const directoryOf = (name: Artifact['name']) => built.find((artifact) => artifact.name === name)?.directory;
  const child = spawn(process.execPath, [...serverFlags, join(instance.root, 'platform/src/cmd/server.ts')], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: '/',
    env: {
      ...process.env,
      SAMPAN_GUEST_DIR: directoryOf('guest'),
      SAMPAN_HOST_DIR: directoryOf('host'),
      ...environment,
    },
  });
  const outcome = served(instance, child);
  child.unref();
  await log.close();
  const { info, exited } = await outcome;
  if (info) return info;
  const words = serverWords(await textFrom(logPath, logStart));
  throw new Failure(
    exited === undefined ? 'the server did not come up within 60 s' : `the server ended (exit ${exited})`,
    { why: words.join('\n        ') || 'it wrote no log', mend: serverMend(words, logPath) },
  );
}

/** Waits for the server that `child` is to be: what it says of itself, or how it ended. Who interrupts the wait ends the child as well. */
async function served(instance: CliInstance, child: ChildProcess): Promise<{ info?: ServerInfo; exited?: number }> {
  let exited: number | undefined;
  let deadlineMs = performance.now() + startTimeoutMs;
  child.on('exit', (code) => {
    exited = code ?? 128;
    deadlineMs = performance.now() + (exited === lockHeldExit ? otherStartMs : 0);
  });
  const onSignal = (signal: NodeJS.Signals) => {
    child.kill('SIGTERM');
    const code = signal === 'SIGINT' ? 130 : 143;
    // The progress lines end the process themselves once they have given the cursor back, with a code of their own.
    process.once('exit', () => {
      process.exitCode = code;
    });
    setTimeout(() => process.exit(code), 500);
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    for (;;) {
      const info = await runningServer(instance);
      if (info || performance.now() >= deadlineMs) return { info, exited };
      await delay(30);
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** A process and when it began, which tells it from a later one with its number. */
export type RunningProcess = Pick<ServerInfo, 'pid' | 'startTime'>;

/** Asks it to end and waits; Pods go on. */
export async function stopProcess(info: RunningProcess): Promise<void> {
  process.kill(info.pid, 'SIGTERM');
  for (let waited = 0; waited < 20_000; waited += 50) {
    if ((await processStartTime(info.pid)) !== info.startTime) return;
    await delay(50);
  }
  process.kill(info.pid, 'SIGKILL');
}

/** What stands in the file behind `start`. */
async function textFrom(path: string, start: number): Promise<string> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  return bytes.subarray(start).toString('utf8');
}
