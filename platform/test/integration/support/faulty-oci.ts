/**
 * `sampan-runtime` over a runtime service that can be ended at any of its steps (base/failpoints.ts), and the life of a container as the commands a caller makes,
 * fails at, and makes again. A service that has died is started by the next command.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import { instanceFromEnvironment } from '../../../src/base/config.ts';
import { addBusybox } from '../../fixtures/images/debian-root.ts';
import { type CommandResult, command } from './command.ts';
import { holdings, lastingLeaks, type Swept } from './leak-sweep.ts';
import { labEnvironment, leaveOciService, tearDown } from './own-process.ts';
import { until } from './wait.ts';

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

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

  /** With one container's life behind it. */
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
    try {
      await new ContainerLife(faulty, 'first').toTheEnd();
    } catch (error) {
      await faulty[Symbol.asyncDispose]().catch(() => {});
      throw error;
    }
    faulty.#before = holdings(faulty.swept);
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
    await until('the end of the service', async () => !existsSync(`/proc/${pid}`), 20_000);
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
      await new ContainerLife(this, id).forgetFiles();
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

/** One for the tests of the `describe` it is called in: opened before the first, cleared after each, gone after the last. */
export function oneFaultyOci(handler: string): () => FaultyOci {
  let faulty: FaultyOci;
  before(async () => {
    faulty = await FaultyOci.open(handler);
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());
  return () => faulty;
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

type Step = 'create' | 'start' | 'exec' | 'kill' | 'remove';
const steps: Step[] = ['create', 'start', 'exec', 'kill', 'remove'];

/** A container's life with the service killed at each of the steps: what is told is so, the same command leads on, nothing is left. */
export function killedAtEach(faulty: () => FaultyOci, steps: string[]): void {
  for (const step of steps)
    it(`killed at ${step}`, async () => {
      const container = new ContainerLife(faulty(), `at-${step}`);
      await faulty().at(`${step} kill`);
      const broken = await container.untilItBreaks();
      // What follows an answer, as an exit or the end of a machine does, fails no command.
      await until('the step is reached', () => faulty().hasPassed(), 20_000);
      const next = broken && (await container.takeUp(broken));
      const isGone = (broken === undefined || broken === 'remove') && (await container.status()) === undefined;
      if (!isGone) await container.toTheEnd(next ?? 'remove');
      await container.forgetFiles();
      await faulty().sweep();
    });
}

/** One container that says hello once and ends with 7 when it is asked to. */
export class ContainerLife {
  readonly #faulty: FaultyOci;
  readonly id: string;
  #output: string;

  constructor(faulty: FaultyOci, id: string) {
    this.#faulty = faulty;
    this.id = id;
    this.#output = join(faulty.home, `${id}.out`);
  }

  /** Makes the calls one after another, and gives the one that failed because the service died. */
  async untilItBreaks(from: Step = 'create'): Promise<Step | undefined> {
    for (const step of steps.slice(steps.indexOf(from))) {
      const { code, stderr } = await this[step]();
      if (/service went away|connection reset|Connection reset|Broken pipe/i.test(stderr) && code !== 0) return step;
      assert.equal(code, step === 'exec' ? 3 : 0, `${step}: ${stderr}`);
    }
    return undefined;
  }

  async toTheEnd(from: Step = 'create'): Promise<void> {
    assert.equal(await this.untilItBreaks(from), undefined);
    await this.forgetFiles();
  }

  /** Of the caller's own making. */
  async forgetFiles(): Promise<void> {
    await rm(join(this.#faulty.home, this.id), { recursive: true, force: true });
    for (const kind of ['out', 'err']) await rm(join(this.#faulty.home, `${this.id}.${kind}`), { force: true });
  }

  async create(): Promise<CommandResult> {
    const { home, env, handler } = this.#faulty;
    const bundle = join(home, this.id);
    await mkdir(bundle, { recursive: true });
    const script = 'trap "exit 7" TERM; echo hello; while true; do sleep 0.05; done';
    const config = {
      ociVersion: '1.0.2',
      process: { args: ['/bin/sh', '-c', script], env: ['PATH=/bin'], cwd: '/' },
      root: { path: join(home, 'rootfs') },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      linux: { namespaces },
      annotations: { 'sampan.dev/handler': handler },
    };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config));
    const [output, errors] = [await open(this.#output, 'a'), await open(join(home, `${this.id}.err`), 'w')];
    const program = join(env.SAMPAN_HOST_DIR!, 'sampan-runtime');
    const args = ['--root', join(home, 'state'), 'create', '--bundle', bundle, this.id];
    const child = spawn(program, args, { env, stdio: ['ignore', output.fd, errors.fd] });
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    await Promise.all([output.close(), errors.close()]);
    return { code: code ?? 128, stdout: '', stderr: await readFile(join(home, `${this.id}.err`), 'utf8') };
  }

  start = (): Promise<CommandResult> => this.#faulty.call(['start', this.id]);

  async exec(): Promise<CommandResult> {
    await this.speaks();
    const answer = await this.#faulty.call(['exec', this.id, '/bin/sh', '-c', 'echo in; exit 3'], {
      timeoutMs: 30_000,
    });
    if (answer.code === 3) assert.equal(answer.stdout, 'in\n');
    return answer;
  }

  async kill(): Promise<CommandResult> {
    const answer = await this.#faulty.call(['kill', this.id, 'TERM']);
    if (answer.code !== 0) return answer;
    await until('it has stopped', async () => (await this.status()) === 'stopped', 20_000);
    return answer;
  }

  remove = (): Promise<CommandResult> => this.#faulty.call(['delete', this.id]);

  /** As `state` tells it; undefined where there is no such container. */
  async status(): Promise<string | undefined> {
    const answered = async () => {
      const { code, stdout, stderr } = await this.#faulty.call(['state', this.id]);
      if (code === 0) return { status: JSON.parse(stdout).status as string };
      // Else it was asked of one that is just dying.
      return /does not exist/.test(stderr) && { status: undefined };
    };
    return (await until('a state', answered, 30_000)).status;
  }

  /** It has said hello; what was under way when the service died may come twice. */
  async speaks(): Promise<void> {
    const said = () => readFile(this.#output, 'utf8');
    await until('it says hello', async () => (await said()).includes('hello'), 20_000);
    assert.match(await said(), /^(hello\n){1,2}$/);
  }

  /** After `broken` failed: what there is is told as it is. Gives the command that leads on. */
  async takeUp(broken: Step): Promise<Step> {
    const answered = async () => {
      const { code, stdout } = await this.#faulty.call(['list', '-q']);
      // Asked of one that is just dying: the next command starts another.
      return code === 0 && { stdout };
    };
    const listed = (await until('a list', answered, 30_000)).stdout.split('\n').filter(Boolean);
    const status = await this.status();
    assert.deepEqual(listed, status === undefined ? [] : [this.id]);
    // Whoever asked was told that it failed.
    if (broken === 'create') assert.equal(status, undefined);
    if (broken === 'start') {
      if (status === 'running') return 'exec';
      assert.equal(status, 'created');
    }
    if (broken === 'exec') assert.equal(status, 'running');
    if (broken === 'kill' && status === 'stopped') return 'remove';
    if (broken === 'remove' && status === undefined) return 'remove';
    return broken;
  }
}
