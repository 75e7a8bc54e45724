/** The life of a container as the OCI commands that a caller makes, fails at because the service was ended, and makes again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import type { CommandResult } from './command.ts';
import { FaultyOci } from './faulty-oci.ts';
import { until } from './wait.ts';

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));

type Step = 'create' | 'start' | 'exec' | 'kill' | 'remove';
const steps: Step[] = ['create', 'start', 'exec', 'kill', 'remove'];

/** A laboratory for the tests of the `describe` it is called in: opened before the first, cleared after each, gone after the last. */
export function oneFaultyOci(handler: string): () => FaultyOci {
  let faulty: FaultyOci;
  before(async () => {
    faulty = await FaultyOci.open(handler);
    await new ContainerLife(faulty, 'first').toTheEnd();
    faulty.remember();
  });
  after(() => faulty?.[Symbol.asyncDispose]());
  afterEach(() => faulty.clear());
  return () => faulty;
}

/** A container's life with the service killed at each of the steps: what is told is so, the same command leads on, nothing is left. */
export function killedAtEach(faulty: () => FaultyOci, steps: string[]): void {
  for (const step of steps)
    it(`killed at ${step}`, async () => {
      const container = new ContainerLife(faulty(), `at-${step}`);
      await faulty().at(`${step} kill`);
      const broken = await container.untilItBreaks();
      // What follows an answer, as an exit or the end of a machine does, fails no command.
      await until('the step is reached', () => faulty().hasPassed());
      const next = broken && (await container.takeUp(broken));
      const isGone = (broken === undefined || broken === 'remove') && (await container.status()) === undefined;
      if (!isGone) await container.toTheEnd(next ?? 'remove');
      await faulty().forgetFiles(container.id);
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
    await this.#faulty.forgetFiles(this.id);
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
    await until('it has stopped', async () => (await this.status()) === 'stopped');
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
    return (await until('a state', answered)).status;
  }

  /** It has said hello; what was under way when the service died may come twice. */
  async speaks(): Promise<void> {
    const said = () => readFile(this.#output, 'utf8');
    await until('it says hello', async () => (await said()).includes('hello'));
    assert.match(await said(), /^(hello\n){1,2}$/);
  }

  /** After `broken` failed: what there is is told as it is. Gives the command that leads on. */
  async takeUp(broken: Step): Promise<Step> {
    const answered = async () => {
      const { code, stdout } = await this.#faulty.call(['list', '-q']);
      // Asked of one that is just dying: the next command starts another.
      return code === 0 && { stdout };
    };
    const listed = (await until('a list', answered)).stdout.split('\n').filter(Boolean);
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
