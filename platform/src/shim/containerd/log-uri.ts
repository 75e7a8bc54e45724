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

export interface OpenedStdio {
  stdio: BundleStdio;
  /** Somebody else has the FIFOs open, or nobody will: ours are let go. Idempotent. */
  release(): void;
}

const patienceMs = 10_000;

/** Throws Unsupported for another scheme, FailedPrecondition for a program that does not start. */
export async function openStdio(given: BundleStdio, target: LogTarget): Promise<OpenedStdio> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(given.stdout ?? '')?.[1];
  const asGiven = { stdio: given, release: () => {} };
  if (!scheme) return asGiven;
  const { pathname, searchParams } = new URL(given.stdout!);
  const path = decodeURIComponent(pathname);
  if (scheme === 'fifo') {
    const stderr = given.stderr ? { stderr: decodeURIComponent(new URL(given.stderr).pathname) } : {};
    return { ...asGiven, stdio: { ...given, stdout: path, ...stderr } };
  }
  if (scheme === 'file') {
    await mkdir(dirname(path), { recursive: true });
    await (await open(path, 'a', 0o644)).close();
    return { ...asGiven, stdio: { ...given, stdout: path, stderr: path } };
  }
  if (scheme !== 'binary') throw new SampanError('Unsupported', `output to ${scheme}://: wanted file, binary or fifo`);
  return startLogger(given, target, [path, ...[...searchParams].flat()]);
}

async function startLogger(given: BundleStdio, target: LogTarget, words: string[]): Promise<OpenedStdio> {
  const [stdout, stderr] = ['out', 'err'].map((name) => join(target.bundle, `${target.id}.${name}`)) as [
    string,
    string,
  ];
  for (const path of [stdout, stderr]) if (!(await stat(path).catch(() => undefined))) await run('mkfifo', [path]);
  // With a writer there from the start the program meets no end before anything was written.
  const writers = [stdout, stderr].map((path) => openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  const release = () => {
    for (const fd of writers.splice(0)) closeSync(fd);
  };
  const readers = [stdout, stderr].map((path) => openSync(path, constants.O_RDONLY));
  try {
    const child = spawnDetached(words[0]!, words.slice(1), {
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
    const why =
      (error as Error).name === 'AbortError' ? `it was not ready in ${patienceMs} ms` : (error as Error).message;
    throw new SampanError('FailedPrecondition', `cannot write to the program ${words[0]}: ${why}`);
  } finally {
    for (const fd of readers) closeSync(fd);
  }
  return { stdio: { ...given, stdout, stderr }, release };
}
