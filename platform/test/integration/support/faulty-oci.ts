/**
 * `sampan-runtime` over a runtime service that can be ended at any of its steps (base/failpoints.ts). A service that has died is started by the next command.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceFromEnvironment } from '../../../src/base/config.ts';
import { addBusybox } from '../../fixtures/images/debian-root.ts';
import { type CommandResult, command } from './command.ts';
import { holdings, lastingLeaks, type Swept } from './leak-sweep.ts';
import { labEnvironment, leaveOciService, tearDown } from './own-process.ts';
import { until } from './wait.ts';

export class FaultyOci implements AsyncDisposable {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly handler: string;
  #before: string[] = [];

  private constructor(home: string, env: NodeJS.ProcessEnv, handler: string) {
    this.home = home;
    this.env = env;
    this.handler = handler;
  }

  static async open(handler: string): Promise<FaultyOci> {
    const home = await mkdtemp('/var/tmp/sampan-oci-faults-');
    const env = await labEnvironment(home, {
      SAMPAN_POOL: '0',
      SAMPAN_LOG_LEVEL: 'debug',
      SAMPAN_FAILPOINTS: join(home, 'points'),
    });
    const faulty = new FaultyOci(home, env, handler);
    await leaveOciService(home, env);
    await faulty.at('');
    await mkdir(join(home, 'rootfs'));
    await addBusybox(join(home, 'rootfs'), []);
    return faulty;
  }

  get swept(): Swept {
    const { run, tag } = instanceFromEnvironment({ ...this.env, SAMPAN_HOME: join(this.home, 'runtime') });
    return { run, tag, home: this.home };
  }

  at = (point: string): Promise<void> => writeFile(join(this.home, 'points'), point);

  /** What was asked for has been done. */
  hasPassed = async (): Promise<boolean> => (await readFile(join(this.home, 'points'), 'utf8')) === '';

  call(args: string[], options: { timeoutMs?: number } = {}): Promise<CommandResult> {
    const program = join(this.env.SAMPAN_HOST_DIR!, 'sampan-runtime');
    return command(program, ['--root', join(this.home, 'state'), ...args], { env: this.env, ...options });
  }

  /** A command whose streams are pipes that the test reads to their end. */
  start(args: string[], stdin: number | 'ignore' = 'ignore'): Started {
    const program = join(this.env.SAMPAN_HOST_DIR!, 'sampan-runtime');
    const child = spawn(program, ['--root', join(this.home, 'state'), ...args], {
      env: this.env,
      stdio: [stdin, 'pipe', 'pipe'],
    });
    return new Started(child);
  }

  async servicePid(): Promise<number | undefined> {
    return JSON.parse(await readFile(join(this.home, 'oci.json'), 'utf8')).pid;
  }

  /** kill -9. Resolves when it is gone. */
  async killService(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const pid = await this.servicePid();
    if (!pid || !existsSync(`/proc/${pid}`)) return;
    process.kill(pid, signal);
    await until('the end of the service', async () => !existsSync(`/proc/${pid}`));
  }

  /** What is there now is no leak: said once a container has lived, and everything that stays has been made. */
  remember(): void {
    this.#before = holdings(this.swept);
  }

  /** Those that a container's caller made. */
  async forgetFiles(id: string): Promise<void> {
    await rm(join(this.home, id), { recursive: true, force: true });
    for (const kind of ['out', 'err']) await rm(join(this.home, `${id}.${kind}`), { force: true });
  }

  /** Throws at what was not there at first. */
  async sweep(): Promise<void> {
    assert.deepEqual(await lastingLeaks(this.swept, this.#before), []);
  }

  /** What a test that failed has left is no matter of the next. */
  async clear(): Promise<void> {
    await this.at('');
    for (const id of (await this.call(['list', '-q'])).stdout.split('\n').filter(Boolean)) {
      await this.call(['delete', '--force', id]);
      await this.forgetFiles(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    await this.killService('SIGTERM');
    const teardown = await tearDown({ ...this.env, SAMPAN_HOME: join(this.home, 'runtime') });
    const left = holdings(this.swept).filter((one) => !one.startsWith('file '));
    if (!process.env.SAMPAN_KEEP) await rm(this.home, { recursive: true, force: true });
    assert.equal(teardown.code, 0, teardown.stderr);
    assert.deepEqual(left, []);
  }
}

class Started {
  readonly child: ChildProcess;
  readonly output = { stdout: '', stderr: '' };
  readonly ended: Promise<number | null>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.on('data', (data) => (this.output.stdout += data));
    child.stderr!.on('data', (data) => (this.output.stderr += data));
    this.ended = new Promise((resolve) => child.once('exit', resolve));
  }
}
