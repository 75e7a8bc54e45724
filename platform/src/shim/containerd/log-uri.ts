/**
 * Where a task's output goes when its client names no FIFOs but a URI (containerd's docs/remote-logging, `ctr run --log-uri`, nerdctl):
 *
 *   file:///path             appended to, made with its directories
 *   binary:///program?k=v    a program, started here, that reads stdout at descriptor 3 and stderr at 4, and closes 5 once it is ready
 *   fifo:///path             as if the path stood there alone
 *
 * A program outlives us: what it reads are FIFOs in the bundle, held as a client's are.
 */
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { SampanError } from '@sampan/api/errors.ts';
import { run, spawnDetached } from '../../base/child.ts';
import type { BundleStdio } from '../../runtime/bundles/bundle-runtime.ts';

export interface LogTarget {
  namespace: string;
  /** As containerd names the process: its task's, or its own. */
  id: string;
  bundle: string;
}

const patienceMs = 10_000;
const schemes = ['file', 'binary', 'fifo'];

const schemeOf = (text: string | undefined): string | undefined => /^([a-z][a-z0-9+.-]*):\/\//.exec(text ?? '')?.[1];
const pathOf = (uri: string): string => decodeURIComponent(new URL(uri).pathname);

/** Where the process's output goes: files and FIFOs by their paths. Pure. Throws Unsupported for another scheme. */
export function stdioOf(given: BundleStdio, { bundle, id }: LogTarget): BundleStdio {
  const scheme = schemeOf(given.stdout);
  if (!given.stdout || scheme === undefined) return given;
  if (!schemes.includes(scheme))
    throw new SampanError('Unsupported', `output to ${scheme}://: wanted file, binary or fifo`);
  if (scheme === 'binary') return { ...given, stdout: join(bundle, `${id}.out`), stderr: join(bundle, `${id}.err`) };
  const stdout = pathOf(given.stdout);
  if (scheme === 'file') return { ...given, stdout, stderr: stdout };
  return { ...given, stdout, ...(given.stderr ? { stderr: pathOf(given.stderr) } : {}) };
}

/**
 * Makes what stdioOf() names, where that is ours to make. Returns what lets go of it, idempotent, to be called once somebody else has the FIFOs open, or
 * nobody will. Throws FailedPrecondition for a program that does not start.
 */
export async function openStdio(given: BundleStdio, stdio: BundleStdio, target: LogTarget): Promise<() => void> {
  const scheme = schemeOf(given.stdout);
  if (scheme === 'file') {
    await mkdir(dirname(stdio.stdout!), { recursive: true });
    await (await open(stdio.stdout!, 'a', 0o644)).close();
  }
  if (scheme !== 'binary') return () => {};
  return startLogger(given, stdio, target);
}

async function startLogger(given: BundleStdio, stdio: BundleStdio, target: LogTarget): Promise<() => void> {
  const { pathname, searchParams } = new URL(given.stdout!);
  const words = [decodeURIComponent(pathname), ...[...searchParams].flat()];
  const paths = [stdio.stdout!, stdio.stderr!];
  for (const path of paths) if (!(await stat(path).catch(() => undefined))) await run('mkfifo', [path]);
  // With a writer there from the start the program meets no end before anything was written.
  const writers = paths.map((path) => openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  const release = () => {
    for (const fd of writers.splice(0)) closeSync(fd);
  };
  const readers = paths.map((path) => openSync(path, constants.O_RDONLY));
  let child: ReturnType<typeof spawnDetached> | undefined;
  try {
    child = spawnDetached(words[0]!, words.slice(1), {
      stdio: ['ignore', 'ignore', 'ignore', ...readers, 'pipe'],
      env: { PATH: process.env.PATH, CONTAINER_ID: target.id, CONTAINER_NAMESPACE: target.namespace },
      cwd: '/',
    });
    const failed = once(child, 'error').then(([error]) => Promise.reject(error));
    failed.catch(() => {});
    const isReady = (child.stdio as unknown[])[5] as Readable;
    isReady.resume();
    const signal = AbortSignal.timeout(patienceMs);
    await Promise.race([failed, once(isReady, 'close', { signal }), once(isReady, 'data', { signal })]);
    isReady.destroy();
    // Told a moment after its descriptors are closed.
    if (child.pid === undefined) await failed;
  } catch (error) {
    release();
    child?.kill('SIGKILL');
    const why =
      (error as Error).name === 'AbortError' ? `it was not ready in ${patienceMs} ms` : (error as Error).message;
    throw new SampanError('FailedPrecondition', `cannot write to the program ${words[0]}: ${why}`);
  } finally {
    for (const fd of readers) closeSync(fd);
  }
  return release;
}
